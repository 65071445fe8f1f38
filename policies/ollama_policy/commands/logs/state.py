"""What a log has shown so far: the server, its models, and which of them are in memory."""

from collections.abc import Callable
from typing import Any, Final

from ollama_policy.commands.logs.event import Event, Kind, Place
from ollama_policy.commands.logs.model import Ahead, Load, Model
from ollama_provider.ollama.versions import Version

MOST_MODELS: Final = 1000  # that are told apart; a log with more is not a server's
FOR_EVER: Final = "2562047h47m16.854775807s"  # Go's longest duration

Fields = dict[str, str]
Handler = Callable[[Place, Fields], None]
Handlers = dict[bytes, Handler]  # by the message, or by the first twelve bytes of one that is never the same


class State:
    """Shared by all that read lines; `say` gives an event."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.models: dict[str, Model] = {}
        self.settings: dict[str, str] = {}  # the server's, as it wrote them at its last start
        self.version: Version | None = None  # the server's, as it wrote it at its last start
        self.no_version = ""  # what it wrote in its place
        self.has_debug = False
        self.load: Load | None = None  # the one that goes on
        self.last: Load | None = None  # the one before
        self.ahead = Ahead()
        self._emit = emit

    def say(
        self, kind: Kind, place: Place, text: str, model: Model | None = None, cause: str = "", **facts: Any
    ) -> None:
        self._emit(Event(kind, place, text, model.digest if model else "", cause, facts))

    @property
    def resident(self) -> list[Model]:
        return [model for model in self.models.values() if model.is_resident]

    def only_resident(self) -> Model | None:
        resident = self.resident
        return resident[0] if len(resident) == 1 else None

    def model(self, path: str) -> Model:
        """By the digest in a path, or by the path where there is none in it."""
        key = Model.key(path)
        found = self.models.get(key)
        if found is None:
            if len(self.models) >= MOST_MODELS:
                del self.models[next(iter(self.models))]
            found = self.models[key] = Model(key, path)
        return found

    def named(self, name: str) -> Model | None:
        """The model of a line that has a name alone; None where no line before told whose it is."""
        full = Model.short(name)
        return next((model for model in self.models.values() if full in model.names), None)

    def runner(self, line: Fields) -> Model | None:
        """The model of a line that shows a runner, as only those at DEBUG do."""
        path = line.get("runner.model")
        if not path:
            return None
        self.has_debug = True
        name = line.get("runner.name", "")
        model = (self.named(name) if path.startswith("digest:") else None) or self.model(path)
        if name:
            model.name(name)
        return model
