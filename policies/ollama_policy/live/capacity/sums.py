"""What models take together, what they may grow to, what makes room for what, and what would still fit. Pure.

How Ollama's scheduler decides (server/sched.go): a load that would be more than OLLAMA_MAX_LOADED_MODELS evicts the
idle model with the shortest keep_alive, and a pin last. Where it looks at memory at all (Behavior.EVICTS_ON_CPU), a
load whose predicted size is over what is free, from 0.30 on over 80 % of it, does so too. What is free is real, what
the load will take is Ollama's prediction. Where it does not look, whatever is over the memory is the kernel's matter.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from ollama_provider.ollama.memory import Estimate, estimate, largest_num_ctx, largest_parallel
from ollama_provider.ollama.memory.model_shape import FLASH_ATTENTION
from ollama_provider.ollama.versions import Behavior, Version

_MOST_PARALLEL: Final = 256  # LLAMA_MAX_SEQ of llama.cpp
PROCESS_BYTES: Final = 20 * 2**20  # an idle llama-server of 0.34.3 without its model, measured: 19.5 MiB
_SPARED: Final = 5  # from 0.30 on, one fifth of what is free is left free


class Settings(NamedTuple):
    """The server's variables as Ollama reads them; bytes of memory, None where that is not known.

    `prompt_cache_bytes` is of each runner; negative: as many tokens as its context has. A `version` that is not known
    is taken for the newest. `refused` says which variable llama-server ends at, so that no model loads; empty: none.
    """

    memory_bytes: int | None
    gpu_bytes: int = 0
    num_parallel: int = 1
    kv_cache_type: str = "f16"
    flash_attention: bool | None = None
    max_loaded: int = 3
    prompt_cache_bytes: int = 0
    version: Version | None = None
    refused: str = ""

    @property
    def capacity(self) -> int | None:
        return None if self.memory_bytes is None else self.memory_bytes + self.gpu_bytes

    @property
    def evicts_for_memory(self) -> bool:
        """Whether a load makes room by what others hold; where not, nothing but the kernel ends what is too much."""
        return self.gpu_bytes > 0 or Behavior.EVICTS_ON_CPU.holds(self.version, if_unknown=False)


class DryRun(NamedTuple):
    """What llama.cpp's own dry run says of one load, in bytes. `program` is where it is."""

    program: str
    model: int
    context: int
    compute: int

    @property
    def total(self) -> int:
        return self.model + self.context + self.compute + PROCESS_BYTES


class Model(NamedTuple):
    """A model that is to be, or may be, in memory. `weights` tells which models share one runner.

    `held_bytes` is what /api/ps says of one that is there and nobody declares: it is taken as it is, and
    `keeps_prompts` unless it only embeds. `keep_alive` is in nanoseconds. `file` is its GGUF, where that is on this
    machine, `beginning` the header of one that is elsewhere; `dry_run` is of one whose architecture the estimate does
    not know. `problem` says why its need is not known.
    """

    name: str
    place: str = ""
    weights: str = ""
    is_pinned: bool = False
    keep_alive: int = 0
    metadata: Mapping[str, Any] = {}
    weights_bytes: int = 0
    embedding_bytes: int | None = None
    num_ctx: int = 0
    num_ctx_from: str = ""
    held_bytes: int | None = None
    keeps_prompts: bool = True
    file: str = ""
    beginning: bytes = b""
    dry_run: DryRun | None = None
    problem: str = ""
    elsewhere: str = ""  # where a cloud model runs: nothing of it is in this server's memory

    def estimated(self, settings: Settings, num_parallel: int | None = None) -> Estimate:
        """Raises ValueError where it is not known."""
        return estimate(
            self.metadata,
            num_ctx=self.num_ctx,
            parallel=num_parallel or settings.num_parallel,
            embedding_bytes=self.embedding_bytes,
            prompt_cache_bytes=settings.prompt_cache_bytes,
            **self._given(settings),
        )

    def largest_num_ctx(self, settings: Settings, fits_in: int) -> int | None:
        return largest_num_ctx(self.metadata, fits_in=fits_in, parallel=settings.num_parallel, **self._given(settings))

    def largest_parallel(self, settings: Settings, fits_in: int) -> int | None:
        return largest_parallel(self.metadata, fits_in=fits_in, num_ctx=self.num_ctx, **self._given(settings))

    def _given(self, settings: Settings) -> dict[str, Any]:
        cache_type, has_flash = settings.kv_cache_type, settings.flash_attention
        is_automatic = Behavior.AUTOMATIC_FLASH_ATTENTION.holds(settings.version, if_unknown=True)
        if (
            has_flash is None
            and not is_automatic
            and str(self.metadata.get("general.architecture")) not in FLASH_ATTENTION
        ):
            cache_type = "f16"  # another needs flash attention, which nobody asks for
        return {
            "weights_bytes": self.weights_bytes,
            "kv_cache_type": cache_type,
            "flash_attention": has_flash,
            "version": settings.version,
        }


class Need(NamedTuple):
    """What one model takes, and by how much its runner may grow on top, prompt by prompt.

    `predicted` is what Ollama takes it for before the load, None where that is not known. `parts` is None of one that
    was not estimated. `new_state` is on top of a full prompt cache: llama.cpp makes the state of a prompt before it
    drops the oldest, and that has at most one request's context.
    """

    model: Model
    total: int
    at_load: int
    predicted: int | None
    growth: int = 0
    parts: Estimate | None = None
    new_state: int = 0

    @property
    def most(self) -> int:
        return self.total + self.growth + self.new_state


class Verdict(NamedTuple):
    """What comes of one model. `evicts` are those that go when it is loaded while the others are there.

    `missing_bytes` are those over the memory then. The largest are those that fit beside the pins, None where not even
    1 does, or nothing can be said.
    """

    need: Need
    fits: bool
    evicts: tuple[str, ...] = ()
    missing_bytes: int = 0
    largest_num_ctx: int | None = None
    largest_parallel: int | None = None


class Fit:
    """What is to be in the memory of one server, against what it has."""

    def __init__(self, models: Iterable[Model], settings: Settings) -> None:
        self.settings = settings
        self.needs: list[Need] = []
        self.unknown: list[tuple[Model, str]] = []
        self.shared: dict[str, str] = {}  # a model, and the one whose runner serves it
        self.elsewhere: list[Model] = []
        self.rivals: list[tuple[str, str]] = []  # of one runner, where a pin of one cannot hold beside the other
        for model in models:
            if model.elsewhere:
                self.elsewhere.append(model)
                continue
            try:
                self.needs.append(_need(model, settings))
            except ValueError as error:
                self.unknown.append((model, model.problem or str(error)))
        self._share()

    def _share(self) -> None:
        """One runner serves all that has the same weights: the one that takes most stands for all, pinned if any is.

        Two pins of it cannot hold, nor one where calls of the other name reload it with another context.
        """
        kept: dict[str, Need] = {}
        for need in self.needs:
            key = need.model.weights or need.model.name
            other = kept.get(key)
            if other is None:
                kept[key] = need
                continue
            larger, smaller = (other, need) if other.total >= need.total else (need, other)
            self.shared[smaller.model.name] = larger.model.name
            are_pinned = (other.model.is_pinned, need.model.is_pinned)
            if all(are_pinned) or (any(are_pinned) and other.model.num_ctx != need.model.num_ctx):
                self.rivals.append((other.model.name, need.model.name))
            is_pinned = larger.model.is_pinned or smaller.model.is_pinned
            kept[key] = larger._replace(model=larger.model._replace(is_pinned=is_pinned))
        self.needs = list(kept.values())

    @cached_property
    def pinned(self) -> list[Need]:
        return [need for need in self.needs if need.model.is_pinned]

    @cached_property
    def automatic(self) -> list[Need]:
        return [need for need in self.needs if not need.model.is_pinned]

    @property
    def pinned_bytes(self) -> int:
        return sum(need.total for need in self.pinned)

    @cached_property
    def together(self) -> list[Need]:
        """The largest of those that may come beside the pins, as many as the server loads at once."""
        free = max(0, self.settings.max_loaded - len(self.pinned))
        return sorted(self.automatic, key=lambda need: -need.total)[:free]

    @property
    def together_bytes(self) -> int:
        """What is held when as much is loaded as may be."""
        return self.pinned_bytes + sum(need.total for need in self.together)

    @property
    def grown_bytes(self) -> int:
        """What is held when as much is loaded as may be, and each prompt cache is full."""
        free = max(0, self.settings.max_loaded - len(self.pinned))
        others = sorted((need.most for need in self.automatic), reverse=True)[:free]
        return sum(need.most for need in self.pinned) + sum(others)

    @property
    def loads_nothing(self) -> bool:
        """Whether llama-server ends at a variable, whatever memory there is."""
        return bool(self.settings.refused and self.needs)

    @property
    def outgrows(self) -> bool:
        """Whether it fits, and not any more when the prompt caches are full."""
        capacity = self.settings.capacity
        if capacity is None or self.fits is False:
            return False
        return self.grown_bytes > max(capacity, self.together_bytes)

    @property
    def largest_prompt_cache(self) -> int:
        """The most bytes of a prompt cache of each runner with which what is loaded at once stays within the memory."""
        growing = [need for need in (*self.pinned, *self.together) if need.growth]
        # What grows whatever the cache's bound is: checkpoints of windows and states, and one more state.
        cache = max(0, self.settings.prompt_cache_bytes)
        others = sum(max(0, need.growth - cache) + need.new_state for need in growing)
        return max(0, (self.settings.capacity or 0) - self.together_bytes - others) // max(1, len(growing))

    @property
    def fits(self) -> bool | None:
        """Whether it all fits, with evictions where need be, before prompt caches grow; None where it is not known."""
        if self.loads_nothing or self.rivals or any(not verdict.fits for verdict in self.verdicts):
            return False
        return None if self.unknown or self.settings.capacity is None else True

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """One a model, in their order; none where the memory is not known."""
        capacity = self.settings.capacity
        if capacity is None:
            return []
        verdicts = []
        loaded: list[Need] = []
        for count, need in enumerate(self.pinned, 1):
            evicted = self._load(need, loaded, capacity)
            missing = sum(one.total for one in self.pinned[:count]) - capacity
            verdicts.append(self._verdict(need, evicted, missing, capacity))
        verdicts += [self._beside_others(need, capacity) for need in self.automatic]
        return sorted(verdicts, key=lambda verdict: self.needs.index(verdict.need))

    def _beside_others(self, need: Need, capacity: int) -> Verdict:
        """Of one that is loaded after all others that can be there beside the pins."""
        loaded = list(self.pinned)
        for other in self.automatic:
            if other is not need and self._has_room(self.pinned, other, capacity):
                self._load(other, loaded, capacity)
        evicted = self._load(need, loaded, capacity)
        held = sum(one.total for one in {id(one): one for one in (*self.pinned, *loaded)}.values())
        if not self.settings.evicts_for_memory:
            held = max(held, self._most_beside(need))
        return self._verdict(need, evicted, held - capacity, capacity)

    def _most_beside(self, need: Need) -> int:
        """The bytes of a model, of the pins, and of the largest others that may be loaded at the same time."""
        others = sorted((one.total for one in self.automatic if one is not need), reverse=True)
        return self.pinned_bytes + need.total + sum(others[: max(0, self.settings.max_loaded - len(self.pinned) - 1)])

    def _verdict(self, need: Need, evicted: Sequence[Need], missing: int, capacity: int) -> Verdict:
        beside = self.pinned_bytes - (need.total if need.model.is_pinned else 0)
        missing = max(0, missing)
        if need.predicted is not None and Behavior.REFUSES_TOO_LARGE.holds(self.settings.version, if_unknown=False):
            missing = max(missing, need.predicted - capacity)
        fits = not self.loads_nothing and not missing and not any(one.model.is_pinned for one in evicted)
        names = tuple(one.model.name for one in evicted)
        return Verdict(need, fits, names, missing, *self._largest(need, capacity - beside))

    def _largest(self, need: Need, rest: int) -> tuple[int | None, int | None]:
        if need.parts is None or rest <= 0:
            return None, None
        return need.model.largest_num_ctx(self.settings, rest), need.model.largest_parallel(self.settings, rest)

    def _load(self, need: Need, loaded: list[Need], capacity: int) -> list[Need]:
        """Loads one beside those that are loaded, and gives what is evicted for it."""
        evicted = []
        while loaded and not self._has_room(loaded, need, capacity):
            first = min(loaded, key=lambda one: (one.model.is_pinned, one.model.keep_alive, one.model.weights))
            loaded.remove(first)
            evicted.append(first)
        loaded.append(need)
        return evicted

    def _has_room(self, loaded: Sequence[Need], need: Need, capacity: int) -> bool:
        if len(loaded) >= self.settings.max_loaded:
            return False
        if not self.settings.evicts_for_memory:
            return True
        free = capacity - sum(one.at_load for one in loaded)
        if Behavior.SPARES_A_FIFTH.holds(self.settings.version, if_unknown=True):
            free -= free // _SPARED
        return (need.total if need.predicted is None else need.predicted) <= free

    @cached_property
    def largest_parallel(self) -> int | None:
        """The most OLLAMA_NUM_PARALLEL with which the pins and any one other model fit; None: not 1, or unknown."""
        capacity = self.settings.capacity
        if capacity is None or self.unknown or not any(need.parts for need in self.needs):
            return None

        def is_over(num_parallel: int) -> bool:
            def total(need: Need) -> int:
                return need.total if need.parts is None else need.model.estimated(self.settings, num_parallel).total

            try:
                others = max(map(total, self.automatic), default=0)
                return sum(map(total, self.pinned)) + others > capacity
            except ValueError:
                return True  # what is not known of so many counts as too much, as in `memory.largest_parallel`

        return bisect_left(range(1, _MOST_PARALLEL + 1), True, key=is_over) or None


def _need(model: Model, settings: Settings) -> Need:
    """Raises ValueError where it is not known."""
    if model.problem:
        raise ValueError(model.problem)
    if model.held_bytes is not None:
        growth = max(0, settings.prompt_cache_bytes) if model.keeps_prompts else 0
        return Need(model, model.held_bytes, model.held_bytes, None, growth)
    if model.dry_run is not None:
        dry = model.dry_run
        cache = settings.prompt_cache_bytes if settings.prompt_cache_bytes >= 0 else dry.context
        return Need(model, dry.total, dry.total, None, cache, new_state=_new_state(dry.context, cache, settings))
    parts = model.estimated(settings)
    new_state = _new_state(parts.kv_cache, parts.prompt_cache, settings)
    return Need(model, parts.total, parts.at_load, parts.predicted_by_ollama, parts.prompt_cache, parts, new_state)


def _new_state(kv_cache: int, growth: int, settings: Settings) -> int:
    """Bytes of one request's context, where there is a cache with a cap that the state of it is made for."""
    return kv_cache // settings.num_parallel if growth and settings.prompt_cache_bytes > 0 else 0
