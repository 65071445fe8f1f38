"""Who holds a model's weights in a server's memory: Ollama knows a runner by their file, and /api/ps by one name."""

from typing import TYPE_CHECKING

from ollama_policy.live.connect import details_of
from ollama_policy.live.runners.runner import blob_in
from ollama_provider.ollama.answers import Running, RunningModel, is_current
from ollama_provider.ollama.errors import RefusedError
from ollama_provider.ollama.names import ModelName

if TYPE_CHECKING:
    from ollama_provider.ollama.http.api import Ollama


async def holder(client: "Ollama", name: ModelName, running: Running) -> RunningModel | None:
    """The model in memory whose runner has the weights of `name`, under that name or another; None where none has.

    Raises OllamaErrors, a RefusedError where no name reaches that runner any more.
    """
    own = next((model for model in running.models if model.name == name), None)
    if own is not None or not running.models:
        return own
    installed = await client.installed()
    current = {one.name for one in running.models if is_current(one, installed)}
    details = await details_of(client, {name, *current})
    blob = blob_in(details[name].blob) if name in details else ""
    digest = installed[name].digest if name in installed else ""
    for model in running.models:
        if model.name in current and model.name in details and blob and blob_in(details[model.name].blob) == blob:
            return model
        if model.name not in current and model.digest == digest:
            words = f"{model.name}, which is deleted or replaced, has its runner: `ollama-policy reclaim` frees that"
            raise RefusedError(f"the look for {name}", client.url, words)
    return None
