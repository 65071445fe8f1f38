"""Operations that failed and left something on a server."""

from ollama_provider.apply.states import State
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.names import ModelName


class UnplacedError(Exception):
    """A new model is there, and memory is not as declared. `state` is what an engine may keep of it."""

    def __init__(self, why: str, state: State) -> None:
        super().__init__(f"{why} (the model itself is there: the next apply goes on from it)")
        self.state = state


class LeftBehindError(OllamaError):
    """A rename failed, and what it pulled for the new name, of this digest, is on the server, in no state."""

    def __init__(self, error: OllamaError, name: ModelName, digest: str) -> None:
        stays = f"{name} was pulled, and is in no state: the next apply goes on from it, or `ollama rm {name}`"
        super().__init__(error.asked, error.server, f"{error.words}; {stays}")
        self.name, self.digest = name, digest
