"""Loads: from the line that begins one to the one that counts it, or to its failure."""

import re
from datetime import datetime
from typing import Any, Final, NamedTuple

from ollama_policy.commands.logs.event import Kind, Place
from ollama_policy.commands.logs.events.caches import Caches
from ollama_policy.commands.logs.events.leaving import Leaving
from ollama_policy.commands.logs.lines.llama_cpp import are_all_offloaded, buffer, general_name, role_of_cache
from ollama_policy.commands.logs.model import Ahead, Load, Model
from ollama_policy.commands.logs.state import MOST_MODELS, Fields, State
from ollama_provider.ollama.settings import kv_cache_types

_STARTED: Final = re.compile(r"in (\d{1,9}\.\d\d) seconds")
_COUNT: Final = re.compile("[0-9]{1,6}")
_PULL: Final = re.compile(r"running `ollama pull ([^`]{1,300})`")
_MEMORY: Final = re.compile(
    "more system memory|out of memory|OutOfMemory|out-of-memory|out of device memory|not enough memory"
    "|unable to allocate|failed to allocate|allocation failed|cannot be allocated|failed to commit memory"
    "|cudaMalloc failed|hipMalloc failed|insufficient memory|too large for system memory|unable to load full model"
    r"|model requires .{1,20} but only",
    re.IGNORECASE,
)
_REFUSED: Final = re.compile(
    r'error while handling (?:argument|environment variable) "(--?[a-z-]{1,64}|LLAMA_ARG_[A-Z_]{1,64})": ?(.{0,200})'
)
_VARIABLES: Final = {"--cache-type-k": "OLLAMA_KV_CACHE_TYPE", "--cache-type-v": "OLLAMA_KV_CACHE_TYPE"}
_CLIENT: Final = ("context canceled", "context deadline exceeded")


class _Failure(NamedTuple):
    """A load that failed, until the next line tells whether it is tried again."""

    place: Place
    model: Model | None
    error: str
    text: str
    cause: str


class Loads:
    """Knows the load that goes on. Ollama makes one at a time."""

    def __init__(self, state: State, leaving: Leaving, caches: Caches) -> None:
        self._state = state
        self._leaving = leaving
        self._caches = caches
        self._failure: _Failure | None = None
        self._refused = ""  # what the runner that is loaded says of a variable that it cannot read
        self._told: set[tuple[str, str]] = set()  # what models were loaded with less than Ollama was set to
        self._role = ""  # which of the model's KV caches the next buffers are of

    # Before a load, and its begin.

    def announced(self, place: Place, line: Fields) -> None:
        self._state.ahead.path = line.get("model", "")

    def context_too_large(self, place: Place, line: Fields) -> None:
        asked, most = line.get("num_ctx", "?"), line.get("n_ctx_train", "?")
        text = f"a context of {asked} exceeds what the model is made for, {most}: loaded with {most}"
        self._limited(place, text, "model", {"asked": _number(asked), "given": _number(most)})

    def parallel_refused(self, place: Place, line: Fields) -> None:
        architecture = line.get("architecture", "?")
        text = f"OLLAMA_NUM_PARALLEL does not apply to its architecture, {architecture}: one call at a time"
        self._limited(place, text, "parallel", {"given": 1})

    def _limited(self, place: Place, text: str, cause: str, facts: dict[str, Any]) -> None:
        """Said with the load, whose first line comes later and has the model."""
        limits = self._state.ahead.limits
        limits.append((place, text, cause, facts))
        del limits[:-4]

    def begin(self, place: Place, model: Model, context: int = 0, parallel: int = 1, options: str = "") -> Load:
        """The runner of a model is started. `options` is the rest of its command, where that has all of them."""
        self.settle()
        state = self._state
        self._leaving.settle(model)
        self._leaving.put_out_unnamed(model)
        ahead, state.ahead = state.ahead, Ahead()
        load = state.load = Load(model, place)
        load.context, load.parallel, load.options = context, parallel, options
        load.free, load.of = ahead.free, ahead.of
        load.gpus.update(ahead.gpus)
        self._refused = self._role = ""
        self._tell_limits(ahead, model)
        return load

    def _tell_limits(self, ahead: Ahead, model: Model | None) -> None:
        """Each once a model: each load says them again."""
        digest = model.digest if model else ""
        for at, text, cause, facts in ahead.limits:
            if (digest, text) not in self._told and len(self._told) < MOST_MODELS:
                self._told.add((digest, text))
                words = text if model else f"{text} (the log does not show of which model)"
                self._state.say(Kind.LIMITED, at, words, model, cause, **facts)

    def system_memory(self, place: Place, line: Fields) -> None:
        where: Load | Ahead = self._state.load or self._state.ahead
        where.free, where.of = line.get("free", "")[:32], line.get("total", "")[:32]

    def gpu_memory(self, place: Place, line: Fields) -> None:
        where: Load | Ahead = self._state.load or self._state.ahead
        if len(where.gpus) < 32:
            where.gpus[line.get("id", "")[:64]] = line.get("available", "")[:32]

    def named(self, place: Place, line: Fields) -> None:
        """A line of 0.30 and later that has the name of the model that is loaded."""
        if self._state.load and line.get("model"):
            self._state.load.model.name(line["model"])

    def llama_cpp(self, text: bytes) -> None:
        """A line of llama.cpp while a runner is loaded."""
        load = self._state.load
        if load is None:
            return
        role = role_of_cache(text)
        if role is not None:
            self._role = role
        taken = buffer(text, self._role)
        if taken is not None:
            load.add_buffer(taken)
        load.is_offloaded = load.is_offloaded or are_all_offloaded(text)
        load.model.label = general_name(text) or load.model.label

    def take_refusal(self, text: bytes) -> None:
        """Notes llama-server's line about a variable or an argument that it cannot read, at which it ends."""
        found = _REFUSED.match(text.decode("utf-8", "replace")) if text[:20] == b"error while handling" else None
        if found is not None and self._state.load:
            setting = _VARIABLES.get(found[1], found[1])
            reason = "it is not a whole number" if found[2] == "stoi" else found[2]  # C++'s name of what failed
            self._refused = f"llama-server refuses {setting}: {reason}"

    # Its end.

    def started(self, place: Place, line: Fields) -> None:
        """The runner answers. From 0.30 on that is said twice."""
        load, found = self._state.load, _STARTED.search(line.get("msg", ""))
        if load and found is not None:
            load.seconds = float(found[1])
            load.ended = place
            self._loads()

    def ready(self, place: Place, line: Fields) -> None:
        """MLX's runner answers: how long it took is told by the two lines' times."""
        load = self._state.load
        if load:
            load.seconds = _between(load.place.at, place.at)
            load.ended = place
            self._loads()

    def counted(self, place: Place, line: Fields) -> None:
        load = self._state.load
        if load:
            load.count = int(line["count"]) if _COUNT.fullmatch(line.get("count", "")) else None
            load.counted = place
            self._loads()

    def _loads(self) -> None:
        """A load is done when the runner answers and is counted: the two come in either order."""
        state, load = self._state, self._state.load
        if load is None or load.ended is None or load.counted is None:
            return
        state.load, state.last = None, load
        model = load.model
        self._leaving.put_out_unnamed(model)
        if load.end:  # of another, then
            self._leaving.dies(*load.end)
        self._leaving.missing(load)
        if model.is_resident:
            self._again(load)
        self._caches.begin(model)
        load.sum_buffers()
        model.is_resident, model.leaving = True, ""
        model.loads += 1
        model.context, model.parallel, model.size = load.context, load.parallel, load.in_ps()
        model.options = load.options
        self._leaving.has_loaded(model)
        state.say(Kind.LOAD, load.counted, load.text(), model, **load.facts())

    def _again(self, load: Load) -> None:
        model = load.model
        if model.context and load.context and model.context != load.context:
            text = f"loaded again with context {load.context} in place of {model.context}"
            facts = {"before": model.context, "after": load.context}
            self._state.say(Kind.RELOAD, load.place, text, model, "context", **facts)
        else:
            is_same = bool(load.options) and load.options == model.options
            text = "loaded again with the same options: it had left memory before" if is_same else _AGAIN
            self._state.say(Kind.GONE, load.place, text, model, "again")

    # Its failure.

    def given_up(self, place: Place, line: Fields) -> None:
        if self._state.load:
            self._state.load.has_given_up = place
        else:
            self._state.say(Kind.FAILED, place, _GIVEN_UP, None, "client")

    def too_large(self, place: Place, line: Fields) -> None:
        if self._state.load:
            needed, there = line.get("requested", "?"), line.get("available", "?")
            self._state.load.shortage = f"{needed} are needed and {there} are there"

    def failed(self, place: Place, line: Fields) -> None:
        self.settle()
        state, load = self._state, self._state.load
        model = self._which(line)
        error = line.get("error") or line.get("msg", "")
        found = _PULL.search(error)
        if model and found:
            model.name(found[1])
        self._leaving.put_out_unnamed(model)
        given_up = load.has_given_up if load and load.model is model else None
        if given_up is not None and any(words in error for words in _CLIENT):
            self._failure = _Failure(given_up, model, error, _GIVEN_UP, "client")
        else:
            text, cause = self._reason(error, load)
            self._failure = _Failure(place, model, error, text, cause)
        state.load, state.ahead = None, Ahead()
        self._leaving.has_failed()

    def _which(self, line: Fields) -> Model | None:
        """By its path, or by its name, which the line about a server that could not be created has."""
        state = self._state
        name = line.get("model") or line.get("modelPath", "")
        if "/" in name and ("sha256" in name or name.startswith(("/", "~")) or name[1:3] == ":\\"):
            return state.model(name)
        if state.load:
            return state.load.model
        if not name:
            return None
        model = state.model(state.ahead.path) if state.ahead.path else state.named(name) or state.model(name)
        model.name(name)
        return model

    def _reason(self, error: str, load: Load | None) -> tuple[str, str]:
        end = load.end[1] if load and load.end else ""
        shortage = f" ({load.shortage})" if load and load.shortage else ""
        told = f"{error} {end}"
        words = f"; the runner ended: {end}" if end and end not in error else ""
        if self._refused:
            words += f"; {self._refused}"
        elif "cache type" in error:
            words += f"; {kv_cache_types.NAMES} has a type that the model cannot use"
        if _MEMORY.search(told):
            cause = "memory"
        elif self._refused or "cache type" in error:
            cause = "setting"
        else:
            cause = "killed" if "killed" in told else "other"
        return f"the load failed: {_first(error)}{shortage}{words}"[:600], cause

    def retry(self, place: Place, line: Fields) -> None:
        """A layout of Ollama's own engine."""
        model = self._state.load.model if self._state.load else None
        text = f"did not fit; tried again with {line.get('backoff', '?')} of memory left free"
        self._state.say(Kind.RETRY, place, text, model)

    def retry_with_less_context(self, place: Place, line: Fields) -> None:
        failure, self._failure = self._failure, None
        model = self._which(line) or (failure.model if failure else None)
        before, after = line.get("effective_num_ctx") or line.get("old_num_ctx", "?"), line.get("new_num_ctx", "?")
        error = _first(line.get("error") or (failure.error if failure else ""))
        text = f"did not fit with the context of {before} that Ollama chose: tried once more with {after} ({error})"
        facts = {"before": _number(before), "after": _number(after)}
        self._state.say(Kind.RETRY, place, text[:500], model, "context", **facts)
        self._leaving.makes_room_for(model)

    def retry_alone(self, place: Place, line: Fields) -> None:
        failure, self._failure = self._failure, None
        model = self._which(line) or (failure.model if failure else None)
        error = _first(line.get("error") or (failure.error if failure else ""))
        text = f"did not fit beside the others: all of them are unloaded, and the load is tried once more ({error})"
        self._state.say(Kind.RETRY, place, text[:500], model, "alone")
        self._leaving.makes_room_for(model)

    def retry_projector(self, place: Place, line: Fields) -> None:
        failure, self._failure = self._failure, None
        model = self._which(line) or (failure.model if failure else None)
        error = _first(line.get("error", "?"))
        text = f"did not fit with its projector on the GPU: tried again with it on the CPU ({error})"
        self._state.say(Kind.RETRY, place, text[:500], model, "projector")

    def settle(self) -> None:
        """A failure that no line followed which says that the load is tried again."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self._state.say(Kind.FAILED, failure.place, failure.text, failure.model, failure.cause)

    def finish(self) -> None:
        """What the log's end leaves open."""
        self.settle()
        ahead = self._state.ahead
        self._tell_limits(ahead, self._state.model(ahead.path) if ahead.path else None)
        load = self._state.load
        if load and load.has_given_up:
            self._state.say(Kind.FAILED, load.has_given_up, _GIVEN_UP, load.model, "client")
        elif load and load.end:
            place, how, cause = load.end
            self._state.say(Kind.DIED, place, f"the runner ended: {how}", load.model, cause)

    def forget(self) -> None:
        """The server starts."""
        self.finish()
        self._state.load, self._state.ahead = None, Ahead()


_AGAIN: Final = "loaded again: it had left memory before, or came with other options"
_GIVEN_UP: Final = "the load was cancelled: its client disconnected"


def _first(error: str) -> str:
    """The first line of an error: llama-server's are its last lines, each a consequence of the one before."""
    return error.strip().split("\n")[0][:400]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 13 else None


def _between(began: str, ended: str) -> float | None:
    try:
        return round((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(), 2)
    except (ValueError, TypeError):
        return None
