"""What one configuration of the provider has at hand: its settings, the servers, and the models declared so far."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ollama_provider.apply.declarations import Key, Residents, key_of
from ollama_provider.apply.failures import UnplacedError
from ollama_provider.apply.ownership import Origin
from ollama_provider.apply.placement import Report
from ollama_provider.apply.server import Server, Servers
from ollama_provider.apply.sight import Sight
from ollama_provider.connections import ProviderSettings
from ollama_provider.engine_run import EngineRun, this_run
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.model import InvalidDeclarationError, ModelDeclaration, Problem
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.errors import LateError, OllamaError, UnreachableError
from ollama_provider.terraform.protocol.provider import Diagnostic, DiagnosticsError


class Session:
    """Begins anew with each ConfigureProvider. Without settings the provider's own configuration is not known yet."""

    def __init__(
        self, settings: ProviderSettings | None, report: Report, run: Callable[[], EngineRun] = this_run
    ) -> None:
        self._settings = settings
        self._servers = Servers()
        self._report = report
        self.residents = Residents()
        self.told: set[str] = set()  # warnings that a refresh gave, which the plan after it does not repeat
        self.sight = Sight(run)
        # What each planned resource had before, by what its plan notes of itself.
        self.planned: dict[str, tuple[Key, ModelDeclaration, Origin]] = {}
        # What was refreshed, and whether its creation came to its end: a tainted object is planned as if it were new.
        self.seen: dict[Key, tuple[ModelDeclaration, Origin, bool]] = {}
        self.is_applying = False

    def key_of(self, declared: ModelDeclaration) -> Key:
        return key_of(declared, self.host)

    @property
    def host(self) -> str | None:
        """The provider's own, None where it is not known yet."""
        return self._settings.host if self._settings else None

    @property
    def is_known(self) -> bool:
        return self._settings is not None

    def lifecycle(self) -> Lifecycle:
        return Lifecycle(self._known_settings(), self._servers, self._report)

    def server(self, host: str | None) -> Server:
        return self._servers.at(self.connection(host))

    def connection(self, host: str | None) -> Connection:
        return self._known_settings().connection(host)

    def warning(self, summary: str, detail: str) -> list[Diagnostic]:
        """A warning, or none where it was given already."""
        if detail in self.told:
            return []
        self.told.add(detail)
        return [Diagnostic(summary, detail, is_warning=True)]

    async def close(self) -> None:
        await self._servers.close()

    def _known_settings(self) -> ProviderSettings:
        if self._settings is None:
            summary = "The configuration of the provider is not known yet"
            detail = (
                "One of its values comes from a resource that is still to be created, and this needs the server now. "
                "Apply that resource first, with -target."
            )
            raise DiagnosticsError(Diagnostic(summary, detail))
        return self._settings


SessionOf = Callable[[], Session]


@contextmanager
def diagnosed() -> Iterator[None]:
    """Turns the failures that a user can fix into diagnostics."""
    try:
        yield
    except OllamaError as error:
        raise DiagnosticsError(failure(error)) from None
    except InvalidDeclarationError as error:
        raise DiagnosticsError(*map(diagnostic_of, error.problems)) from None


def failure(error: OllamaError | UnplacedError) -> Diagnostic:
    if isinstance(error, UnreachableError) and not isinstance(error, LateError):
        return Diagnostic("The server does not answer", f"{error.server}: {error.words}")
    if isinstance(error, OllamaError):
        return Diagnostic(f"{_capitalised(error.asked)} failed", f"{error.server}: {error.words}")
    return Diagnostic("The model is there, and memory is not as declared", str(error))


def diagnostic_of(problem: Problem) -> Diagnostic:
    name = ".".join(map(str, problem.path))
    return Diagnostic(f"Wrong {name}" if name else "Wrong declaration", problem.reason, problem.path)


def diagnostics_of(problems: Sequence[Problem]) -> list[Diagnostic]:
    return list(map(diagnostic_of, problems))


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
