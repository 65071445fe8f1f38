"""What declared models take at least, as far as files tell: a GGUF beside the declaration, or a server's snapshot."""

from collections.abc import Sequence

from ollama_policy.errors import CannotLookError, UnreadableError
from ollama_policy.live.capacity.needs import models
from ollama_policy.live.capacity.observe import ServerDetails, from_json
from ollama_policy.live.capacity.settings import Given, Sources
from ollama_policy.live.capacity.sums import Fit, Need
from ollama_policy.live.declared import Declared
from ollama_policy.live.snapshot import NoAnswer, ServerState
from ollama_policy.model.declarations import model_name
from ollama_policy.model.rule import Target
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.text.named_files import read_named
from ollama_provider.ollama.answers import Running
from ollama_provider.ollama.durations import parse_time
from ollama_provider.ollama.kinds import runs_elsewhere
from ollama_provider.ollama.names import ModelName

# How exact the estimate is: docs/memory.md.
_PART, _BYTES = 0.05, 32 * 2**20
_LARGEST_SNAPSHOT = 256 * 2**20


class RecordedModels:
    """What GGUF files beside declarations, and a server's snapshot where there is one, say of models."""

    def __init__(self, snapshot: str | None) -> None:
        """Raises CannotLookError for a snapshot that cannot be read."""
        self._recorded = recorded(snapshot)

    def least_bytes(self, subjects: Sequence[Subject], target: Target) -> dict[ModelName, int]:
        """As `least_bytes`."""
        return least_bytes(subjects, target, self._recorded)

    def runs_elsewhere(self, name: ModelName) -> bool:
        """Whether the server says that another one runs the model."""
        installed = self._recorded.seen.installed
        return name in installed and bool(runs_elsewhere(installed[name]))


def least_bytes(subjects: Sequence[Subject], target: Target, recorded: ServerDetails) -> dict[ModelName, int]:
    """By name, of those that are declared resident; what is not known is not there, one runner counts once."""
    declared = [
        Declared(one, name)
        for one in subjects
        if one.kind is Kind.MODEL and one.value("host") is None
        if (name := model_name(one.value("name"))) is not None
    ]
    servers = [one for one in subjects if one.kind is Kind.SERVER]
    found = Sources(Given(), servers, target).read("", is_here=False)
    names = {str(one.model_name): one.model_name for one in declared}
    fit = Fit(models(declared, recorded, found, {}), found.settings)
    return {
        names[need.model.name]: _surely(need) for need in fit.needs if need.model.is_pinned and need.model.name in names
    }


def _surely(need: Need) -> int:
    parts = need.parts
    expected = need.total if parts is None else parts.total - parts.long_prompts
    return max(0, expected - max(round(_PART * expected), _BYTES))


def recorded(path: str | None) -> ServerDetails:
    """The models that the servers of a snapshot have; none without one. Raises CannotLookError."""
    looked = ServerDetails(ServerState("", True, "", {}, Running((), parse_time("1970-01-01T00:00:00Z"))), {})
    if path is None:
        return looked
    try:
        servers = [one for one in from_json(read_named(path, _LARGEST_SNAPSHOT)) if not isinstance(one, NoAnswer)]
    except OSError as error:
        raise CannotLookError(f"snapshot {path}: {error.strerror}") from None
    except UnreadableError as error:
        raise CannotLookError(f"snapshot {path}: {error}") from None
    for one in servers:
        installed = {**looked.seen.installed, **one.seen.installed}
        looked = ServerDetails(looked.seen._replace(installed=installed), {**looked.details, **one.details})
    return looked
