"""What Ollama writes of MLX's runner, the engine of safetensors models, and that runner itself: mlxrunner/ of 0.34.3.

A runner is started with the model's name, and serves every context. Not measured: it needs a Mac, or CUDA.
"""

from ollama_policy.commands.logs.event import Place
from ollama_policy.commands.logs.events.calls import Calls
from ollama_policy.commands.logs.events.leaving import Leaving
from ollama_policy.commands.logs.events.loads import Loads
from ollama_policy.commands.logs.model import Model
from ollama_policy.commands.logs.state import Fields, Handlers, State


def handlers(state: State, loads: Loads, leaving: Leaving, calls: Calls) -> Handlers:
    def begins(place: Place, line: Fields) -> None:
        name = line.get("model", "")
        model = state.named(name) or state.model(Model.short(name))
        model.is_mlx = True
        model.name(name)
        loads.begin(place, model)

    def memory(place: Place, line: Fields) -> None:
        of_mlx = [model for model in state.resident if model.is_mlx]
        calls.caches.take_held(place, line, of_mlx[0] if len(of_mlx) == 1 else None)

    return {
        b"starting mlx runner subprocess": begins,
        b"mlx runner is ready": loads.ready,
        b"stopping mlx runner subprocess": leaving.stopped,
        b"memory": memory,
    }
