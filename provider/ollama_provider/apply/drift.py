"""What in a server's memory is not as a model was declared. Pure, and cheap to import: a checker of fleets asks too."""

from datetime import timedelta
from typing import Final, Protocol

from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import Running
from ollama_provider.ollama.names import ModelName

AS_DECLARED: Final = ""
# What becomes of a model that `is_pinned_unbounded`; a declaration has no value that an apply could restore.
UNBOUNDED_CURES: Final = (
    'declare keep_alive = "5m", and an apply starts the timer; or memory_management = "manual", and the pin is as '
    "declared"
)
NOT_IN_MEMORY: Final = "not in memory, though declared resident"
PIN_LOST: Final = "pin lost: a client set its own keep_alive, or its options reloaded the model"
OLD_CONTENT: Final = "an older content of this name is in memory"
IN_MEMORY: Final = "in memory, though declared not to be"
PINNED_BY_CLIENT: Final = "pinned by a client: it will never be released"
HELD_TOO_LONG: Final = "held in memory for longer than keep_alive"

# The Date header counts whole seconds, and a call that has just ended arms the timer anew.
CLOCK_SLACK: Final = timedelta(seconds=2)
_PREVIOUS: Final = "ollama-iac-previous"


class Placed(Protocol):
    """What a declaration says of memory: `ollama_provider.model.ModelDeclaration` is one."""

    @property
    def model_name(self) -> ModelName: ...

    @property
    def must_be_resident(self) -> bool: ...

    @property
    def must_be_absent(self) -> bool: ...

    @property
    def keep_alive(self) -> str | None: ...


def is_pinned_unbounded(declared: Placed, digest: str, running: Running) -> bool:
    """Whether a model that is left to the server and its clients is in memory forever.

    It is not drift that an apply can end: nothing is declared that it could restore.
    """
    is_left = not declared.must_be_resident and not declared.must_be_absent and declared.keep_alive is None
    ours = (model for model in running.models if model.name == declared.model_name and model.digest == digest)
    return is_left and any(map(running.is_pinned, ours))


def second_name(name: ModelName) -> ModelName:
    """Under which the old content of a name is kept while it is exchanged."""
    return name.beside(_PREVIOUS)


def drift_of(declared: Placed, digest: str, running: Running) -> str:
    """What in memory is not as declared, in words that do not change by themselves; AS_DECLARED where all is well."""
    ours = [model for model in running.models if model.name == declared.model_name]
    current = [model for model in ours if model.digest == digest]
    if declared.must_be_absent:
        return IN_MEMORY if ours else AS_DECLARED
    if len(current) < len(ours):
        return OLD_CONTENT
    if declared.must_be_resident:
        if not current:
            return NOT_IN_MEMORY
        return AS_DECLARED if all(map(running.is_pinned, current)) else PIN_LOST
    if declared.keep_alive is None:
        return AS_DECLARED
    if any(map(running.is_pinned, current)):
        return PINNED_BY_CLIENT
    longest = timedelta(seconds=durations.seconds(declared.keep_alive)) + CLOCK_SLACK
    is_held = any(running.left_of(model) > longest for model in current)
    return HELD_TOO_LONG if is_held else AS_DECLARED
