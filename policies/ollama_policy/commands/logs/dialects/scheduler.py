"""What Ollama's scheduler writes, whichever engine runs a model: server/sched.go of 0.17.4 and of 0.34.3.

At the usual level these are loads and failures; that a model leaves memory, and why, is there with OLLAMA_DEBUG=1
alone, but for one that must go because memory is short.
"""

from ollama_policy.commands.logs.event import Place
from ollama_policy.commands.logs.events.calls import Calls
from ollama_policy.commands.logs.events.leaving import Leaving
from ollama_policy.commands.logs.events.loads import Loads
from ollama_policy.commands.logs.state import Fields, Handlers, State


def handlers(state: State, loads: Loads, leaving: Leaving, calls: Calls) -> Handlers:
    def see_runner(place: Place, line: Fields) -> None:
        state.runner(line)

    return {
        b"system memory": loads.system_memory,
        b"gpu memory": loads.gpu_memory,
        b"loaded runners": loads.counted,
        b"finished setting up": see_runner,
        b"requested context size too large for model": loads.context_too_large,
        b"model architecture does not currently support parallel requests": loads.parallel_refused,
        b"Load failed": loads.failed,
        b"error loading llama server": loads.failed,
        b"model is too large for system memory": loads.failed,
        b"max runners achieved, unloading one to make room": leaving.caused("count"),
        b"reloading": leaving.caused("options"),
        b"resetting model to expire immediately to make room": leaving.put_out,
        b"timer expired, expiring to unload": leaving.expired,
        b"runner with zero duration has gone idle, expiring to unload": leaving.not_kept,
        b"runner with non-zero duration has gone idle, adding timer": leaving.idle,
        b"runner with non-zero duration has gone idle, resetting timer": leaving.idle,
        b"triggering expiration for failed load": leaving.failed_leaves,
        b"runner terminated and removed from list, blocking for VRAM recovery": leaving.unloaded,
        b"shutting down runner": leaving.shut_down,
        b"gpu VRAM usage didn't recover within timeout": leaving.kept,
        b"model was still loaded": leaving.still_loaded,
        b"truncating input prompt": calls.truncated,
        b"truncating input messages which exceed context length": calls.messages_left_out,
    }
