"""Models that a server lists and that cannot be held in its memory, or of whose memory little can be known. Pure."""

from typing import Final, Protocol

from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.versions import Behavior, Version

SAFETENSORS: Final = "safetensors"
IMAGE: Final = "image"  # the capability of a model that makes images
WHAT_TO_DECLARE: Final = 'memory_management = "automatic", or another model'  # where one cannot be held
HOLDS_NOTHING: Final = "this server does not hold it in memory"
MLX_MEMORY: Final = (
    "it is a safetensors model: Ollama runs it with MLX, whose memory is not estimated here; a prompt cache of up to "
    "8 GiB is added, which no variable bounds"
)


class Listed(Protocol):
    """What /api/tags says of a model: `answers.InstalledModel` is one."""

    @property
    def remote_model(self) -> str: ...

    @property
    def remote_host(self) -> str: ...

    @property
    def format(self) -> str: ...


def runs_elsewhere(model: Listed) -> str:
    """Where a model runs that this server only passes calls on to; empty where it runs here."""
    if not model.remote_host and not model.remote_model:
        return ""
    name = f" as {model.remote_model}" if model.remote_model else ""
    return f"{model.remote_host or 'another server'}{name}"


def is_mlx(model: Listed) -> bool:
    return model.format == SAFETENSORS


def why_not_held(name: ModelName, model: Listed, capabilities: tuple[str, ...], version: Version | None) -> str:
    """Why a server cannot hold a model in its memory, whatever is asked of it; empty where nothing says so."""
    if where := runs_elsewhere(model):
        return (
            f"{name} runs on {where}: this server does not hold it in memory, so there is nothing to pin or to unload"
        )
    if IMAGE in capabilities and Behavior.REFUSES_IMAGE_MODELS.holds(version, if_unknown=False):
        return f"{name} generates images, and this version of Ollama does not load such models"
    return ""


def can_be_reached(name: ModelName, version: Version | None) -> bool:
    """Whether a call or a delete with a name means the model that /api/tags lists under it."""
    return not name.is_local_tag or not Behavior.LOCAL_AND_CLOUD_TAGS.holds(version, if_unknown=True)


def is_called_elsewhere(name: ModelName, model: Listed, version: Version | None) -> bool:
    """Whether calls of a model that is here, a copy under such a name, go to ollama.com; a delete does not."""
    is_here = not runs_elsewhere(model)
    return is_here and name.is_cloud_tag and Behavior.LOCAL_AND_CLOUD_TAGS.holds(version, if_unknown=True)


def called_elsewhere(name: ModelName) -> str:
    """The same in words, with what to do."""
    return f"Ollama sends every call of this name to {name.reached} on ollama.com: copy it to another tag"


def why_not_called(name: ModelName) -> str:
    """Why no server is to be asked to load a model by this name; empty where the name says nothing against it."""
    if name.is_local_tag:
        return f"an apply refuses this tag, by which Ollama reaches {name.reached}"
    return f"it runs on ollama.com: {HOLDS_NOTHING}" if name.is_cloud_tag else ""


def how_to_remove(name: ModelName) -> str:
    """What removes a model whose name reaches another: its manifest's file, in words."""
    return (
        f"remove the file manifests/{name.registry}/{name.namespace}/{name.model}/{name.tag} from the server's "
        "folder of models"
    )
