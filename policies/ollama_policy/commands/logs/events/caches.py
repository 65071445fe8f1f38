"""What runners keep of earlier prompts, which grows while /api/ps stays as it is: said as it doubles, and at its bound.

llama-server keeps the state of earlier prompts beside the context, from 0.30 on: up to 8 GiB a runner unless
LLAMA_ARG_CACHE_RAM says otherwise, or up to the context's tokens where that is negative. MLX's runner has a cache of
its own, of at most 8 GiB, that no variable bounds (mlxrunner/prefix_cache.go).
"""

from collections.abc import Sequence
from typing import Final

from ollama_policy.commands.logs.event import Kind, Place
from ollama_policy.commands.logs.lines.llama_cpp import CacheState, cache_limit, cache_state, has_dropped, skipped
from ollama_policy.commands.logs.model import Cache, Model
from ollama_policy.commands.logs.state import Fields, State
from ollama_provider.ollama.sizes import MIB, bytes_of, text_of

DEFAULT_LIMIT: Final = 8192 * MIB  # llama.cpp's, and MLX's
_LEAST: Final = MIB  # that is said
_PADDED_TO: Final = 256  # llama.cpp rounds a context up to a multiple of it


class Caches:
    """Takes llama.cpp's lines of its prompt cache, and MLX's of its memory."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._unknown = Cache()  # of a runner that cannot be told from others
        self._dropped: list[Place] = []  # lines of prompts that had to go, before the one with the state
        self._limit: int | None = None  # of the runner that is being loaded

    def take(self, place: Place, text: bytes) -> None:
        """A line of llama.cpp's server."""
        state = cache_state(text)
        if state is not None:
            self._take_state(place, state)
        elif has_dropped(text):
            self._dropped.append(place)
            del self._dropped[:-100]
        elif (limit := cache_limit(text)) is not None:
            self._limit = limit
        elif (too_large := skipped(text)) is not None:
            words = f"a prompt's state of {text_of(too_large.needed)} is larger than its prompt cache may be"
            words += f" ({text_of(too_large.limit)}), and is not kept"
            self._state.say(Kind.CACHE, place, words, self._state.only_resident(), "skipped")

    def begin(self, model: Model) -> None:
        """A runner of it is loaded."""
        self.end(model)
        model.cache = None if self._limit is None else Cache(limit=self._limit or None)
        self._limit = None

    def end(self, model: Model) -> None:
        """Its runner is gone, or the log ends: what was not said yet of the most that it held."""
        if model.cache is not None:
            self._say(model, model.cache)
        model.cache = None

    def finish(self) -> None:
        """What the log's end leaves unsaid; models keep their figures."""
        for model in self._state.models.values():
            if model.cache is not None:
                self._say(model, model.cache)
        self._say(None, self._unknown)

    def forget(self) -> None:
        """The server starts: no runner is there."""
        for model in self._state.models.values():
            self.end(model)
        self._say(None, self._unknown)
        self._unknown, self._limit = Cache(), None
        self._dropped.clear()

    def take_held(self, place: Place, line: Fields, model: Model | None) -> None:
        """MLX's memory after a call: weights, what the call needed, and its cache."""
        held = bytes_of(line.get("held", ""))
        if held is None:
            return
        if model is None:
            cache = self._unknown
        else:
            cache = model.cache = model.cache or Cache(limit=DEFAULT_LIMIT)
        cache.updates += 1
        cache.prompts, cache.held = 0, held
        if held <= cache.peak:
            return
        is_first = not cache.peak
        cache.peak, cache.peak_at = held, place
        cache.may_be = _of_one_of(self._state.resident) if model is None else ""
        if is_first:
            cache.told = held
        elif held - cache.told >= max(_LEAST, cache.told // 2):
            self._say(model, cache)

    def _take_state(self, place: Place, state: CacheState) -> None:
        candidates = self._candidates(state)
        model = candidates[0] if len(candidates) == 1 else None
        if model is None:
            cache = self._unknown
            for one in candidates:
                one.cache = one.cache or Cache()
                one.cache.unsure += 1
        else:
            cache = model.cache = model.cache or Cache()
            cache.unsure = 0
        cache.limit, cache.limit_tokens = state.limit or None, state.limit_tokens
        cache.prompts, cache.held = state.prompts, state.held
        cache.updates += 1
        if state.held > cache.peak:
            cache.peak, cache.peak_prompts, cache.peak_at = state.held, state.prompts, place
            cache.may_be = _of_one_of(candidates) if model is None else ""
        dropped, self._dropped = self._dropped, []
        cache.dropped += len(dropped)
        if dropped and not cache.is_full and cache.peak >= _LEAST:
            cache.is_full, cache.told = True, cache.peak
            words = f"its prompt cache has reached its bound: {text_of(cache.peak)} in {_prompts(cache.peak_prompts)}, "
            words += f"of at most {_bound(cache)}; the oldest prompts are dropped from here on{cache.may_be}"
            self._state.say(Kind.CACHE, dropped[0], words, model, _cause(cache, "full"), **cache.facts())
        elif cache.peak >= max(_LEAST, 2 * cache.told):
            self._say(model, cache)

    def _say(self, model: Model | None, cache: Cache) -> None:
        """The most that it held, where that is more than was said before."""
        place = cache.peak_at
        if place is None or cache.peak <= cache.told or cache.peak < _LEAST or cache.is_full:
            return
        cache.told = cache.peak
        if not cache.peak_prompts:
            words = (
                f"MLX holds {text_of(cache.peak)} after a call, its weights included: its cache of prompts may grow to "
            )
            words += f"{text_of(DEFAULT_LIMIT)}, which no variable bounds{cache.may_be}"
            self._state.say(Kind.CACHE, place, words, model, "mlx", held_bytes=cache.peak)
            return
        words = f"its prompt cache has grown to {text_of(cache.peak)} in {_prompts(cache.peak_prompts)}, of at most "
        words += f"{_bound(cache)}, which /api/ps does not show; an unload gives it back{cache.may_be}"
        self._state.say(Kind.CACHE, place, words, model, _cause(cache, "grows"), **cache.facts())

    def _candidates(self, state: CacheState) -> list[Model]:
        """The models in memory whose runner may have written it; llama.cpp's lines do not say which one it is.

        Those whose runner has as many tokens. Of several, those that can hold as many prompts: with each line a cache
        gains one at most for each call at once.
        """
        fitting = [model for model in self._state.resident if model.context and _tokens(model) == state.limit_tokens]
        if not fitting:  # the log does not have its load, or not its context
            fitting = [model for model in self._state.resident if not model.context and not model.is_mlx]
        able = [model for model in fitting if state.prompts <= _most_prompts(model)] if len(fitting) > 1 else []
        return able or fitting


def _most_prompts(model: Model) -> int:
    """That its runner's cache can hold with the next line of it."""
    cache = model.cache or Cache()
    return cache.prompts + (cache.unsure + 1) * model.parallel


def _of_one_of(models: Sequence[Model]) -> str:
    names = sorted(one.shown for one in models)[:5]
    return f" (a runner of one of {', '.join(names)}: the line does not say which)" if len(names) > 1 else ""


def _prompts(count: int) -> str:
    return f"{count} prompt" + ("" if count == 1 else "s")


def _tokens(model: Model) -> int:
    """Of its runner's whole context, as llama.cpp rounds it: src/llama-context.cpp."""
    each = _padded(_padded(model.context * model.parallel) // model.parallel)
    return each * model.parallel


def _padded(tokens: int) -> int:
    return -(-tokens // _PADDED_TO) * _PADDED_TO


def _bound(cache: Cache) -> str:
    return f"{cache.limit_tokens} tokens, as many as its context has" if cache.limit is None else text_of(cache.limit)


def _cause(cache: Cache, cause: str) -> str:
    """`capped` where somebody has set a bound below the default."""
    return cause if cache.limit is not None and cache.limit >= DEFAULT_LIMIT else "capped"
