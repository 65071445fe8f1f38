"""Whether a load for a measurement would end a runner that somebody has pinned."""

from typing import Final

from ollama_policy.live.runners.processes import Processes, UnseenError
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.errors import RefusedError
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.settings.variables import env_uint

_VARIABLE: Final = "OLLAMA_MAX_LOADED_MODELS"
_WITHOUT_GPU: Final = 3  # server/sched.go: defaultModelsPerGPU


def require_no_eviction(url: str, name: ModelName, running: Running, held: RunningModel | None) -> None:
    """Raises a RefusedError where a load of `name` would end a pinned runner, as far as this machine shows it.

    `held` is the model in memory whose runner has the weights of `name`: then nothing is loaded.
    At its limit of models Ollama ends the one whose time is over soonest: a pinned one where all are pinned. The limit
    is in the environment of a server on this machine; what a server elsewhere does, nobody can tell beforehand.
    """
    pinned = [str(model.name) for model in running.models if running.is_pinned(model)]
    if not pinned or held is not None:
        return
    limit = _limit(url, running)
    if limit is not None and len(pinned) >= limit:
        words = (
            f"the server holds {limit} {'models' if limit > 1 else 'model'} at once ({_VARIABLE}), and "
            f"{', '.join(sorted(pinned))} {'are' if len(pinned) > 1 else 'is'} pinned: the load of {name} would end a "
            "runner that is pinned. Release one of them first, or raise the limit"
        )
        raise RefusedError(f"the load of {name}", url, words)


def _limit(url: str, running: Running) -> int | None:
    """How many models a server holds at once; None where that is not known."""
    try:
        written = Processes(url).variable(_VARIABLE)
    except UnseenError:
        return None
    if own := env_uint(written):
        return own
    return None if any(model.size_vram for model in running.models) else _WITHOUT_GPU
