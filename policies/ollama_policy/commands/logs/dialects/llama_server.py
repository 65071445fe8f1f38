"""What Ollama writes of llama.cpp's llama-server, the engine of GGUF models from 0.30 on.

Facts: llm/llama_server.go, llm/server.go and server/sched.go of 0.30.0 and of 0.34.3, and real logs of 0.34.3.

What llama-server itself writes goes into the same log, without a word of which runner it is: see `llama_cpp`.
"""

from ollama_policy.commands.logs.dialects.commands import load_of
from ollama_policy.commands.logs.event import Place
from ollama_policy.commands.logs.events.calls import Calls
from ollama_policy.commands.logs.events.leaving import Leaving
from ollama_policy.commands.logs.events.loads import Loads
from ollama_policy.commands.logs.state import Fields, Handlers, State


def handlers(state: State, loads: Loads, leaving: Leaving, calls: Calls) -> Handlers:
    def begins(place: Place, line: Fields) -> None:
        found = load_of(line.get("cmd", ""))
        if found is not None:
            loads.begin(place, state.model(found.path), found.context, found.parallel, found.options)

    return {
        b"using llama-server for model": loads.announced,
        b"starting llama-server": begins,
        b"llama-server": loads.started,  # ... started in 0.28 seconds
        b"template selection": loads.named,
        b"failed to create server": loads.failed,
        b"failed to load model metadata": loads.failed,
        b"client connection closed before llama-server finished loading, aborting load": loads.given_up,
        b"llama-server load failed; reducing automatic context and retrying once": loads.retry_with_less_context,
        b"llama-server load failed; evicting all other models and retrying once": loads.retry_alone,
        b"llama-server startup failed with projector GPU offload; retrying with projector CPU offload": (
            loads.retry_projector
        ),
        b"llama-server model predicted to exceed available memory, evicting": leaving.is_short,
        b"evicting all other loaded models for OOM retry": leaving.all_put_out,
        b"runtime OOM detected; expiring loaded models to clear memory before next request": leaving.ran_out,
        b"llama-server process no longer running": leaving.died,
        b"llama-server terminated": leaving.terminated,
        b"llama-server completion error": calls.broken_off,
        b"llama-server chat error": calls.broken_off,
        b"invalid llama-server fit target": calls.ignored_fit_target,
    }
