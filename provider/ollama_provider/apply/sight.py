"""What a run shows of who else has a model, and so what may be done with one that a resource gives up.

No provider gets the whole state. It sees what a run asks it for: as far as the run is of everything, what nobody else
declared in it nobody else has. Where the run cannot show that, a model that is given up keeps its files.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from ollama_provider.apply.declarations import DeclaredModels, Key
from ollama_provider.engine_run import TERRAFORM, EngineRun, is_alone, this_run
from ollama_provider.model import ModelDeclaration, Problem
from ollama_provider.ollama.names import ModelName

HEARING_SECONDS, LONGEST_HEARING_SECONDS = 1.0, 10.0  # a machine that is busy plans a resource late
_LOOK_SECONDS = 0.05
_ELSEWHERE: Final = "may be declared elsewhere too"


@dataclass(frozen=True)
class Verdict:
    """What may be done with a model that is given up.

    `keeps` says why its files stay, whatever the resource says, in words that follow its name; empty where they may go.
    `leaves` says that another resource holds it in memory, too: it stays there as it is.
    """

    keeps: str = ""
    leaves: bool = False

    def noted(self) -> dict[str, Any]:
        """In a form that JSON can hold."""
        return asdict(self)


FREE: Final = Verdict()
UNSEEN: Final = Verdict(f"{_ELSEWHERE}, which no plan has looked at")


def verdict_in(noted: object) -> Verdict:
    """What `Verdict.noted` gave. Anything else is not a verdict: nobody has seen who else has the model."""
    if isinstance(noted, Mapping) and isinstance(noted.get("keeps"), str) and isinstance(noted.get("leaves"), bool):
        return Verdict(noted["keeps"], noted["leaves"])
    return UNSEEN


def _promised(name: ModelName, where: tuple[str, ...], found: str) -> Problem:
    expected = (
        f"a model that no other resource gives up: before it came to this one, this run has promised to delete {name} "
        "for a resource that gives it up. Where this one depends on that one, remove the dependency for this apply; "
        "otherwise, apply that one alone first, with -target"
    )
    return Problem(where, repr(found), expected)


class Sight:
    """What one configuration of the provider has seen of a run, in which many resources are asked for at once."""

    def __init__(self, run: Callable[[], EngineRun] = this_run, alone: Callable[[], bool] = is_alone) -> None:
        self._run, self._alone = run, alone
        self._declared = DeclaredModels()
        self._given_up: set[Key] = set()
        self._is_alone = True
        self._first_asked = self._last_declared = 0.0

    @property
    def run(self) -> EngineRun:
        return self._run()

    def declare(self, key: Key, declared: ModelDeclaration, resource: str, *, before: Key | None) -> Problem | None:
        """Notes what a resource declares, and had `before`. Says where another one has it, or has given it up."""
        self._last_declared = time.monotonic()
        if problem := self._declared.problem_with(key, declared, resource, is_new=before != key):
            return problem
        if self.run.is_destroy:
            return None
        if key in self._given_up:
            return _promised(key.name, ("name",), declared.name)
        base = declared.base_name
        if base and before != key and Key(key.server, base) in self._given_up:
            return _promised(base, ("base",), str(declared.base))
        return None

    def other(self, key: Key, resource: str = "") -> tuple[ModelDeclaration, bool] | None:
        """Which other resource declares a model now, and whether it did not have it before."""
        return self._declared.other(key, resource)

    def look_around(self) -> None:
        """Notes whether the run has another configuration of the provider, whose resources are not seen here."""
        self._is_alone = self._is_alone and self._alone()

    def narrowed(self) -> str:
        """Why this run may not show all that is declared, as in `Verdict.keeps`; empty where it does."""
        run = self.run
        if not run.engine:
            return f"{_ELSEWHERE}: which command started this run cannot be read"
        if run.narrowed:
            return f"{_ELSEWHERE}, which {run.narrowed} hides"
        if not run.is_destroy and not self._is_alone:
            return f"{_ELSEWHERE}: this run has another configuration of the provider"
        return ""

    async def verdict(
        self, key: Key, given_up: ModelDeclaration, resource: str = "", *, unseen: str = "", deletes: bool = False
    ) -> Verdict:
        """What may be done with a model that a resource gives up. Waits a moment for what the run declares meanwhile.

        `resource` is the one that gives it up, `unseen` why the caller knows that it does not see all, and `deletes`
        whether it will delete where it may.
        """
        if not self.run.is_destroy:
            await self.hear(key, resource)
        return self.verdict_now(key, given_up, resource, unseen=unseen, deletes=deletes)

    def verdict_now(
        self, key: Key, given_up: ModelDeclaration, resource: str = "", *, unseen: str = "", deletes: bool = False
    ) -> Verdict:
        """The verdict by what the run has declared until now."""
        if self.run.is_destroy:  # of everything, also of what is declared: whoever else has the model gives it up
            return Verdict(self.narrowed())
        if other := self.other(key, resource):
            holds = other[0].must_be_resident or not given_up.must_be_resident
            return Verdict("is another resource's too", leaves=holds)
        if self._declared.is_base(key):
            return Verdict("is the base of a model that is declared")
        if keeps := unseen or self.narrowed():
            return Verdict(keeps)
        if self.run.engine == TERRAFORM and self.run.one_at_a_time:
            return Verdict(f"{_ELSEWHERE}, which -parallelism=1 shows too late")
        if deletes:
            self._given_up.add(key)
        return FREE

    async def hear(self, key: Key, resource: str) -> None:
        """Whoever asks first waits until nothing was declared for a moment, once for all."""
        self._first_asked = self._first_asked or time.monotonic()
        while not self.other(key, resource):
            await asyncio.to_thread(self.look_around)  # each time: a short-lived one is not to be missed
            quiet_since = max(self._first_asked, self._last_declared)
            until = min(quiet_since + HEARING_SECONDS, self._first_asked + LONGEST_HEARING_SECONDS)
            if time.monotonic() >= until:
                break
            await asyncio.sleep(_LOOK_SECONDS)
