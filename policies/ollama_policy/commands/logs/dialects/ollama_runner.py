"""What Ollama's own runners write, the engines of GGUF models before 0.30.

Facts: llm/server.go, ml/device.go and runner/ of 0.17.4.
"""

import re
from typing import Final

from ollama_policy.commands.logs.dialects.commands import load_of
from ollama_policy.commands.logs.event import Place
from ollama_policy.commands.logs.events.calls import Calls
from ollama_policy.commands.logs.events.leaving import Leaving
from ollama_policy.commands.logs.events.loads import Loads
from ollama_policy.commands.logs.state import Fields, Handler, Handlers, State

_CONTEXT: Final = re.compile(r"\bParallel:(\d{1,9}) .{0,400}?\bKvSize:(\d{1,12})")
_PARTS: Final = {b"model weights": "weights", b"kv cache": "KV cache", b"compute graph": "compute graph"}
_SHORT: Final = [
    b"model requires more %s memory than is currently available, evicting a model to make space" % kind
    for kind in (b"gpu", b"system")
]
_REFUSED: Final = {
    b"OLLAMA_FLASH_ATTENTION must be enabled to use a quantized OLLAMA_KV_CACHE_TYPE": "flash attention is off",
    b"quantized kv cache requested but flash attention disabled": "flash attention is off",
    b"unsupported OLLAMA_KV_CACHE_TYPE": "it is not a type that Ollama knows",
    b"kv cache type not supported by model": "the model does not support it",
}
_NO_FLASH: Final = {
    b"flash attention enabled but not supported by gpu": "a GPU here does not support it",
    b"flash attention enabled but not supported by model": "the model does not support it",
}


def handlers(state: State, loads: Loads, leaving: Leaving, calls: Calls) -> Handlers:
    def begins(place: Place, line: Fields) -> None:
        found = load_of(line.get("cmd", ""))
        if found is not None:  # else it is the search for GPUs
            loads.begin(place, state.model(found.path), found.context, found.parallel)

    # At DEBUG stand layouts that were only tried.
    def part(what: str) -> Handler:
        def add(place: Place, line: Fields) -> None:
            if state.load and line.get("level") == "INFO":
                state.load.add(what, line.get("device", "")[:64], line.get("size", ""))

        return add

    def total(place: Place, line: Fields) -> None:
        if state.load and line.get("level") == "INFO":
            state.load.total = line.get("size", "")

    def request(place: Place, line: Fields) -> None:
        found = _CONTEXT.search(line.get("request", ""))
        if state.load and found is not None and int(found[2]):
            state.load.parallel = max(1, int(found[1]))
            state.load.context = int(found[2]) // state.load.parallel

    def label(place: Place, line: Fields) -> None:
        if state.load and "architecture" in line:
            state.load.model.label = line.get("name", "")[:200]

    def refused(setting: str, reason: str) -> Handler:
        return lambda place, line: calls.ignored(place, setting, line.get("type", ""), reason)

    return {
        b"starting runner": begins,
        b"starting llama server": begins,  # as older releases say it
        **{said: part(what) for said, what in _PARTS.items()},
        b"total memory": total,
        b"load": request,
        b"": label,
        b"llama runner": loads.started,  # ... started in 0.28 seconds
        b"NewLlamaServer failed": loads.failed,
        b"model request too large for system": loads.too_large,
        b"client connection closed before server finished loading, aborting load": loads.given_up,
        b"model layout did not fit, applying backoff": loads.retry,
        **dict.fromkeys(_SHORT, leaving.is_short),
        b"llama runner process no longer running": leaving.died,
        b"llama runner terminated": leaving.died,
        b"post predict": leaving.died,
        b"context limit hit - shifting": calls.shifted,
        **{said: refused("OLLAMA_KV_CACHE_TYPE", reason) for said, reason in _REFUSED.items()},
        **{said: refused("OLLAMA_FLASH_ATTENTION", reason) for said, reason in _NO_FLASH.items()},
    }
