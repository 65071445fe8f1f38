"""What the lines of a log mean: a server that loads, evicts, expires and unloads models, line by line.

Facts: server/sched.go, llm/server.go, ml/device.go, envconfig/config.go and runner/ of Ollama 0.17.4, and real logs of
it. At its usual level it writes loads and failures; that a model leaves memory, and why, only with OLLAMA_DEBUG=1, but
for one that must go because memory is short.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from ollama_policy.logs.event import Event, Kind, Place
from ollama_policy.logs.model import Load, Model
from ollama_policy.logs.others import LLAMA_CPP, Alarm, buffer, death, general_name, go_log
from ollama_policy.logs.requests import Request, request
from ollama_policy.logs.slog import fields, message

MOST_MODELS: Final = 1000  # that are told apart; a log with more is no server's
FOR_EVER: Final = "2562047h47m16.854775807s"  # Go's longest duration

_MODEL: Final = re.compile(r" --model (.{1,2000}?)(?= --|$)")
_CONTEXT: Final = re.compile(r"\bParallel:(\d{1,9}) .{0,400}?\bKvSize:(\d{1,12})")
_LISTENING: Final = re.compile(r"Listening on \S+ \(version ([\w.+-]+)\)")
_STARTED: Final = re.compile(r"in (\d{1,9}\.\d\d) seconds")
_COUNT: Final = re.compile("[0-9]{1,6}")
_PULL: Final = re.compile(r"running `ollama pull ([^`]{1,300})`")
_SETTING: Final = re.compile(r"\b(OLLAMA_[A-Z_]+):([^\s\[\]]*)")
_MEMORY: Final = re.compile(
    "more system memory|out of memory|OutOfMemory|unable to allocate|failed to allocate|cannot be allocated"
    "|failed to commit memory|cudaMalloc failed|insufficient memory|too large for system memory"
    "|unable to load full model",
    re.IGNORECASE,
)

_REFUSED: Final = {
    b"OLLAMA_FLASH_ATTENTION must be enabled to use a quantized OLLAMA_KV_CACHE_TYPE": "flash attention is off",
    b"quantized kv cache requested but flash attention disabled": "flash attention is off",
    b"unsupported OLLAMA_KV_CACHE_TYPE": "it is no type that Ollama knows",
    b"kv cache type not supported by model": "the model does not support it",
}
_NO_FLASH: Final = {
    b"flash attention enabled but not supported by gpu": "a GPU here does not support it",
    b"flash attention enabled but not supported by model": "the model does not support it",
}
_SHORT: Final = [
    b"model requires more %s memory than is currently available, evicting a model to make space" % kind
    for kind in (b"gpu", b"system")
]
_PARTS: Final = {b"model weights": "weights", b"kv cache": "KV cache", b"compute graph": "compute graph"}

Fields = dict[str, str]


class Story:
    """Takes lines, gives events to `emit`. Knows which models are in memory, as far as the log tells."""

    def __init__(self, emit: Callable[[Event], None], slow_seconds: float) -> None:
        self.models: dict[str, Model] = {}
        self.settings: dict[str, str] = {}  # the server's, as it wrote them at its last start
        self.has_debug = False
        self.known = 0  # lines that are Ollama's by their form
        self._emit = emit
        self._slow = slow_seconds
        self._load: Load | None = None
        self._last: Load | None = None  # the load before
        self._cause = ""  # why the next runner that is put out is
        self._leaving: dict[str, str] = {}  # models on their way out, and why
        self._short: Place | None = None  # a line by which some model has to go, before the one that says which
        self._alarm = Alarm()
        self._dead: set[str] = set()
        self._told: set[tuple[str, str]] = set()  # settings and values that are not taken
        self._by_message = self._handlers()

    def take(self, number: int, raw: bytes, text: bytes, at: str) -> None:
        """One line, whatever stands in it."""
        if text[:5] == b"time=":
            self.known += 1
            said = message(text)
            handle = self._by_message.get(said) or self._by_message.get(said[:12])
            if handle is not None:
                found = fields(text)
                handle(Place.of(number, raw, found.get("time", at)), found)
        elif text.startswith(LLAMA_CPP):
            self.known += 1
            if self._load:
                self._llama_cpp(self._load, text)
        elif text[:6] == b"[GIN] ":
            self.known += 1
            call = request(text)
            if call is not None:
                self._call(call, Place.of(number, raw, call.at))
        elif text[:2] == b"20" and (said := go_log(text)):
            self.known += 1
            if said.startswith(b"WARN invalid environment variable"):
                self._ignored_variable(Place.of(number, raw, at), fields(said))
        else:
            self._other(number, raw, text, at)

    def finish(self) -> None:
        """What the log's end leaves open."""
        self._put_out_unnamed()

    def _handlers(self) -> dict[bytes, Callable[[Place, Fields], None]]:
        """By the message, or by the first twelve bytes of one that is never the same."""

        def refused(setting: str, reason: str) -> Callable[[Place, Fields], None]:
            return lambda place, line: self._ignored(place, setting, line.get("type", ""), reason)

        def caused(cause: str) -> Callable[[Place, Fields], None]:
            return lambda place, line: setattr(self, "_cause", cause)

        return {
            b"server config": self._start,
            b"Listening on": self._listening,
            b"invalid environment variable, using default": self._ignored_variable,
            b"invalid port, using default": self._ignored_port,
            **{said: refused("OLLAMA_KV_CACHE_TYPE", reason) for said, reason in _REFUSED.items()},
            **{said: refused("OLLAMA_FLASH_ATTENTION", reason) for said, reason in _NO_FLASH.items()},
            b"starting runner": self._load_begins,
            b"starting llama server": self._load_begins,  # as older releases say it
            b"system memory": self._system_memory,
            b"gpu memory": self._gpu_memory,
            **dict.fromkeys(_PARTS, self._part),
            b"total memory": self._total,
            b"load": self._load_request,
            b"": self._label,
            b"llama runner": self._runner_started,
            b"loaded runners": self._loaded,
            b"finished setting up": self._see_runner,
            b"Load failed": self._failed,
            b"NewLlamaServer failed": self._failed,
            b"error loading llama server": self._failed,
            b"model request too large for system": self._too_large,
            b"model is too large for system memory": self._failed,
            b"client connection closed before server finished loading, aborting load": self._given_up,
            b"model layout did not fit, applying backoff": self._retry,
            b"max runners achieved, unloading one to make room": caused("count"),
            b"reloading": self._reloading,
            **dict.fromkeys(_SHORT, self._is_short),
            b"resetting model to expire immediately to make room": self._put_out,
            b"timer expired, expiring to unload": self._expired,
            b"runner with zero duration has gone idle, expiring to unload": self._not_kept,
            b"runner with non-zero duration has gone idle, adding timer": self._idle,
            b"runner with non-zero duration has gone idle, resetting timer": self._idle,
            b"triggering expiration for failed load": self._failed_leaves,
            b"runner terminated and removed from list, blocking for VRAM recovery": self._unloaded,
            b"shutting down runner": self._shut_down,
            b"gpu VRAM usage didn't recover within timeout": self._kept,
            b"model was still loaded": self._still_loaded,
            b"llama runner process no longer running": self._died,
            b"llama runner terminated": self._died,
            b"post predict": self._died,
            b"truncating input prompt": self._truncated,
            b"truncating input messages which exceed context length": self._messages_left_out,
            b"context limit hit - shifting": self._shifted,
        }

    def _say(
        self, kind: Kind, place: Place, text: str, model: Model | None = None, cause: str = "", **facts: Any
    ) -> None:
        self._emit(Event(kind, place, text, model.digest if model else "", cause, facts))

    # The server.

    def _start(self, place: Place, line: Fields) -> None:
        self.settings = dict(_SETTING.findall(line.get("env", "")))
        for model in self.models.values():
            model.is_resident = False
        self._load, self._short, self._cause = None, None, ""
        self._leaving.clear()
        self._dead.clear()
        keep_alive = self.settings.get("OLLAMA_KEEP_ALIVE", "")
        self._say(Kind.START, place, f"a server starts; models stay {_shown(keep_alive)} after their last call")
        if keep_alive == FOR_EVER:
            self._say(Kind.PINNED, place, "OLLAMA_KEEP_ALIVE keeps every model for ever", cause="server")

    def _listening(self, place: Place, line: Fields) -> None:
        found = _LISTENING.match(line.get("msg", ""))
        if found is not None:
            self._say(Kind.START, place, f"Ollama {found[1]} listens", cause="version", version=found[1])

    def _ignored_variable(self, place: Place, line: Fields) -> None:
        reason = f"Ollama takes its default, {line.get('default', '?')}"
        self._ignored(place, line.get("key", "?"), line.get("value", ""), reason)

    def _ignored_port(self, place: Place, line: Fields) -> None:
        self._ignored(place, "OLLAMA_HOST", line.get("port", ""), f"Ollama takes the port {line.get('default', '?')}")

    def _ignored(self, place: Place, setting: str, value: str, reason: str) -> None:
        if (setting, value) in self._told or len(self._told) >= MOST_MODELS:
            return  # each load and each runner says it again
        self._told.add((setting, value))
        text = f'{setting} "{value}" is not taken: {reason}' if value else f"{setting} is not taken: {reason}"
        self._say(Kind.IGNORED, place, text, cause=setting, value=value)

    # Loads.

    def _load_begins(self, place: Place, line: Fields) -> None:
        found = _MODEL.search(line.get("cmd", ""))
        if found is None:
            return  # the search for GPUs
        self._put_out_unnamed()
        self._load = Load(self._model(found[1]), place)

    def _system_memory(self, place: Place, line: Fields) -> None:
        if self._load:
            self._load.free, self._load.of = line.get("free", ""), line.get("total", "")

    def _gpu_memory(self, place: Place, line: Fields) -> None:
        if self._load:
            self._load.add_gpu(line.get("id", "")[:64], line.get("available", ""))

    def _part(self, place: Place, line: Fields) -> None:
        # At DEBUG stand layouts that were only tried.
        if self._load and line.get("level") == "INFO":
            self._load.add(_PARTS[line.get("msg", "").encode()], line.get("device", "")[:64], line.get("size", ""))

    def _total(self, place: Place, line: Fields) -> None:
        if self._load and line.get("level") == "INFO":
            self._load.total = line.get("size", "")

    def _load_request(self, place: Place, line: Fields) -> None:
        found = _CONTEXT.search(line.get("request", ""))
        if self._load and found is not None and int(found[2]):
            self._load.parallel = max(1, int(found[1]))
            self._load.context = int(found[2]) // self._load.parallel

    def _label(self, place: Place, line: Fields) -> None:
        if self._load and "architecture" in line:
            self._load.model.label = line.get("name", "")[:200]

    def _runner_started(self, place: Place, line: Fields) -> None:
        found = _STARTED.search(line.get("msg", ""))
        if self._load and found is not None:
            self._load.seconds = float(found[1])
            self._load.ended = place
            self._loads()

    def _loaded(self, place: Place, line: Fields) -> None:
        if self._load:
            self._load.count = int(line["count"]) if _COUNT.fullmatch(line.get("count", "")) else None
            self._load.counted = place
            self._loads()

    def _loads(self) -> None:
        """A load is done when the runner answers and is counted: the two come in either order."""
        load = self._load
        if load is None or load.ended is None or load.counted is None:
            return
        self._load, self._last = None, load
        self._put_out_unnamed()
        model = load.model
        self._count(load)
        if model.is_resident:
            self._loaded_again(load)
        model.is_resident = True
        model.loads += 1
        model.context, model.size = load.context, load.total
        self._dead.clear()
        self._say(Kind.LOAD, load.counted, load.text(), model, **load.facts())

    def _count(self, load: Load) -> None:
        """Who has left without a word, by the number of runners that Ollama counts."""
        others = [model for model in self.models.values() if model.is_resident and model is not load.model]
        assert load.counted is not None
        if load.count is None or len(others) + 1 <= load.count:
            return
        gone = len(others) + 1 - load.count
        words = f"Ollama counts only {load.count} in memory"
        limit = self.settings.get("OLLAMA_MAX_LOADED_MODELS", "0")
        words += f", and OLLAMA_MAX_LOADED_MODELS is {limit}" if limit == str(load.count) else ""
        if gone < len(others):
            names = ", ".join(sorted(model.shown for model in others))
            self._say(Kind.GONE, load.counted, f"{words}: {gone} of {names} left memory before", cause="count")
            return
        for model in others:
            model.is_resident = False
            self._say(Kind.GONE, load.counted, f"left memory before: {words}", model, cause="count")

    def _loaded_again(self, load: Load) -> None:
        model = load.model
        if model.context and load.context and model.context != load.context:
            text = f"loaded again with context {load.context} in place of {model.context}"
            self._say(Kind.RELOAD, load.place, text, model, "context", before=model.context, after=load.context)
        else:
            text = "loaded again: it left memory before, or came with other options"
            self._say(Kind.GONE, load.place, text, model, cause="again")

    def _given_up(self, place: Place, line: Fields) -> None:
        model = self._load.model if self._load else None
        self._say(Kind.FAILED, place, "the load was given up: its client went away", model, "client")

    def _too_large(self, place: Place, line: Fields) -> None:
        text = f"{line.get('requested', '?')} are needed and {line.get('available', '?')} are there"
        if self._load:
            self._load.shortage = text

    def _failed(self, place: Place, line: Fields) -> None:
        path = line.get("model") or line.get("modelPath")
        model = self._model(path) if path else self._load.model if self._load else None
        error = line.get("error") or line.get("msg", "")
        found = _PULL.search(error)
        if model and found:
            model.name(found[1])
        cause = "memory" if _MEMORY.search(error) else "killed" if "killed" in error else "other"
        shortage = f" ({self._load.shortage})" if self._load and self._load.shortage else ""
        self._put_out_unnamed()
        self._load = None
        self._say(Kind.FAILED, place, f"the load failed: {error}{shortage}"[:500], model, cause)

    def _retry(self, place: Place, line: Fields) -> None:
        model = self._load.model if self._load else None
        self._say(
            Kind.RETRY, place, f"did not fit; tried again with {line.get('backoff', '?')} of memory left free", model
        )

    # Leaving memory.

    def _is_short(self, place: Place, line: Fields) -> None:
        self._put_out_unnamed()
        self._short, self._cause = place, "memory"

    def _reloading(self, place: Place, line: Fields) -> None:
        self._cause = "options"

    def _put_out(self, place: Place, line: Fields) -> None:
        model, cause = self._runner(line), self._cause
        self._cause, self._short = "", None
        if model is None:
            return
        self._leaving[model.digest] = cause
        if model.digest in self._dead:
            self._leaving[model.digest] = "died"
            return
        if cause == "options":
            self._say(Kind.RELOAD, place, "put out to come back: it is asked for with other options", model, cause)
            return
        for_whom = f" for {self._load.model.shown}" if self._load else ""
        self._say(
            Kind.EVICTED,
            place,
            f"put out to make room{for_whom}: {_WHY.get(cause, 'Ollama says no cause')}",
            model,
            cause,
        )

    def _put_out_unnamed(self) -> None:
        """One that had to go and that no line names: at the usual level there is none."""
        place, self._short = self._short, None
        if place is None:
            return
        wanted = self._load.model if self._load else None
        others = [model for model in self.models.values() if model.is_resident and model is not wanted]
        model = others[0] if len(others) == 1 else None
        if model:
            model.is_resident = False
        for_whom = f" for {wanted.shown}" if wanted else ""
        self._cause = ""
        self._say(Kind.EVICTED, place, f"put out to make room{for_whom}: {_WHY['memory']}", model, "memory")

    def _expired(self, place: Place, line: Fields) -> None:
        model = self._runner(line)
        if model:
            self._leaving[model.digest] = "expired"
            self._say(Kind.EXPIRED, place, "its keep_alive is over", model)

    def _not_kept(self, place: Place, line: Fields) -> None:
        model = self._runner(line)
        if model:
            self._leaving.setdefault(model.digest, "zero")

    def _failed_leaves(self, place: Place, line: Fields) -> None:
        model = self._runner(line)
        if model:
            self._leaving[model.digest] = "failed"

    def _idle(self, place: Place, line: Fields) -> None:
        model = self._runner(line)
        if model is None:
            return
        is_pinned = line.get("duration") == FOR_EVER
        if is_pinned and not model.is_pinned and self.settings.get("OLLAMA_KEEP_ALIVE") != FOR_EVER:
            self._say(Kind.PINNED, place, "a client's keep_alive keeps it for ever", model, "client")
        model.is_pinned = is_pinned

    def _unloaded(self, place: Place, line: Fields) -> None:
        model = self._runner(line)
        if model is None:
            return
        cause = self._leaving.pop(model.digest, "asked")
        model.is_resident = model.is_pinned = False
        given_back = line.get("runner.size", "")
        self._say(
            Kind.UNLOADED, place, f"unloaded, {given_back} given back: {_WHY[cause]}", model, cause, size=given_back
        )

    def _shut_down(self, place: Place, line: Fields) -> None:
        model = self._model(line.get("model", ""))
        model.is_resident = model.is_pinned = False
        self._say(Kind.UNLOADED, place, "unloaded: the server ends", model, "server")

    def _kept(self, place: Place, line: Fields) -> None:
        text = f"the GPU's memory did not come back: {line.get('free_before', '?')} were free before the unload"
        text += f", {line.get('free_now', '?')} after {line.get('seconds', '?')[:5]} s"
        self._say(Kind.KEPT, place, text, self._runner(line), "gpu")

    def _still_loaded(self, place: Place, line: Fields) -> None:
        model = self._model(line.get("new_runner.model", ""))
        self._say(Kind.KEPT, place, "a second runner of the same model was started beside the first", model, "twice")

    def _died(self, place: Place, line: Fields) -> None:
        model = self._load.model if self._load else self._only_resident()
        how = line.get("string") or line.get("error") or "no reason is given"
        key = model.digest if model else ""
        if key in self._dead or (self._dead and not model):
            return  # each call that finds it dead says it again
        self._dead.add(key)
        if model:
            model.is_resident = False
        self._say(Kind.DIED, place, f"the runner ended: {how}", model, "killed" if "killed" in how else "crash")

    # Calls.

    def _truncated(self, place: Place, line: Fields) -> None:
        prompt, limit = line.get("prompt", "?"), line.get("limit", "?")
        text = f"a prompt of {prompt} tokens was cut to {line.get('new', limit)}: the context is {limit}"
        self._say(Kind.TRUNCATED, place, text, self._only_resident(), prompt=prompt, limit=limit)

    def _messages_left_out(self, place: Place, line: Fields) -> None:
        text = "the first messages of a chat were left out: they exceed the context"
        self._say(Kind.TRUNCATED, place, text, self._only_resident(), "messages")

    def _shifted(self, place: Place, line: Fields) -> None:
        text = (
            f"the context of {line.get('limit', '?')} is full: its oldest {line.get('discard', '?')} tokens are dropped"
        )
        self._say(Kind.SHIFTED, place, text, self._only_resident())

    def _call(self, call: Request, place: Place) -> None:
        took = _seconds(call.seconds)
        if call.status >= 500:
            what = "was refused: the queue is full" if call.status == 503 else f"failed with HTTP {call.status}"
            cause = "queue" if call.status == 503 else "failed"
            self._say(
                Kind.CALL, place, f"a call of {call.path} {what}, after {took}", None, cause, seconds=call.seconds
            )
        elif call.seconds >= self._slow:
            text = f"a call of {call.path} took {took}"
            load = self._last
            if load and load.ended and _within(load.ended.at, call):
                text += f", of which {load.seconds:g} s the load of {load.model.shown} (line {load.ended.number})"
            self._say(Kind.CALL, place, text, None, "slow", seconds=call.seconds)

    # What is not Ollama's own log.

    def _other(self, number: int, raw: bytes, text: bytes, at: str) -> None:
        alarm = self._alarm.take(Place.of(number, raw, at) if self._alarm.concerns(text) else None, text)
        if alarm is not None:
            place, percent = alarm
            resident = [model.shown + (f" ({model.size})" if model.size else "") for model in self.resident]
            said = f"memory is at {percent}%" if percent else "memory is over a threshold"
            said += (
                ", with " + (" and ".join(resident[:5]) if resident else "no model that this log shows") + " in memory"
            )
            self._say(Kind.ALARM, place, said, self._only_resident(), percent=percent)
            return
        found = death(text)
        if found is not None:
            self.known += found.is_ollama
            model = self._load.model if self._load else self._only_resident()
            self._dead.add(model.digest if model else "")
            self._say(Kind.DIED, Place.of(number, raw, at), found.death, model, found.cause)

    def _llama_cpp(self, load: Load, text: bytes) -> None:
        took = buffer(text)
        if took:
            load.add_buffer(*took)
        load.model.label = general_name(text) or load.model.label

    # Models.

    @property
    def resident(self) -> list[Model]:
        return [model for model in self.models.values() if model.is_resident]

    def _only_resident(self) -> Model | None:
        resident = self.resident
        return resident[0] if len(resident) == 1 else None

    def _model(self, path: str) -> Model:
        """By the digest in a path, or by the path where there is none in it."""
        key = Model.key(path)
        found = self.models.get(key)
        if found is None:
            if len(self.models) >= MOST_MODELS:
                oldest = next(iter(self.models))
                del self.models[oldest]
                self._leaving.pop(oldest, None)
            found = self.models[key] = Model(key, path)
        return found

    def _runner(self, line: Fields) -> Model | None:
        """The model of a line that shows a runner, as only those at DEBUG do."""
        path = line.get("runner.model")
        if not path:
            return None
        self.has_debug = True
        model = self._model(path)
        if "runner.name" in line:
            model.name(line["runner.name"])
        return model

    def _see_runner(self, place: Place, line: Fields) -> None:
        self._runner(line)


_WHY: Final = {
    "": "Ollama says no cause",
    "memory": "memory is short",
    "count": "OLLAMA_MAX_LOADED_MODELS allows no more",
    "options": "it comes back with other options",
    "expired": "its keep_alive was over",
    "zero": "its keep_alive was 0",
    "asked": "somebody asked for it, as `ollama stop` does",
    "failed": "its load had failed",
    "died": "the runner had ended by itself",
}


def _shown(duration: str) -> str:
    return "for ever" if duration == FOR_EVER else duration or "for a time that is not said"


def _seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.3g} s" if seconds < 100 else f"{minutes} min {rest} s"


def _within(ended: str, call: Request) -> bool:
    """Whether a load ended during a call. Both are in the server's own local time; GIN's have no zone."""
    try:
        local = datetime.fromisoformat(ended).replace(tzinfo=None)
        end = datetime.fromisoformat(call.at)
    except ValueError:
        return False
    return -1 <= (end - local).total_seconds() <= call.seconds + 1
