"""One run of `drift`: what is declared, and what is made of servers, as often as they are looked at."""

# ruff: noqa: PLC0415 - a run from a file needs no client of servers, a run without a terminal no table

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ollama_policy.commands.drift.judge import judge, orphans
from ollama_policy.errors import CannotLookError, UnreadableError
from ollama_policy.live import fleet, snapshot
from ollama_policy.live.assignment import ServerAssignment
from ollama_policy.live.declared import Declarations
from ollama_policy.live.options import Request as CheckRequest
from ollama_policy.live.options import options_of
from ollama_policy.live.project import Tree
from ollama_policy.live.snapshot import NoAnswer, Server, ServerState
from ollama_policy.model.result import NOTHING_TO_LOOK_AT, Result, ServerFigures, Undecided, Unreadable
from ollama_policy.model.rule import Finding, Severity
from ollama_policy.model.settings import SourceFile
from ollama_policy.pipeline import check
from ollama_policy.rules.drift_kinds import KINDS, Drift
from ollama_policy.text.named_files import read_named
from ollama_policy.text.terminal import STDIN
from ollama_provider.ollama.versions import beyond_known, version_in

_LARGEST_SNAPSHOT = 256 * 2**20


class Request(NamedTuple):
    """What `drift` is asked for; the defaults are those of the command line."""

    paths: Sequence[str] = ()
    hosts: Sequence[str] = ()
    hosts_file: str | None = None
    fleet: Sequence[str] = ()
    form: str = "text"
    output: str | None = None
    fail_on: str | None = None
    is_strict: bool = False
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    config: str | None = None
    record: str | None = None
    from_file: str | None = None
    timeout: str = "10s"
    ca_file: str | None = None
    does_watch: bool = False
    interval: float = 2.0
    is_verbose: bool = False


class Session:
    """One run: what is declared, read once, and what is made of servers, as often as they are looked at."""

    def __init__(self, request: Request, seconds: float = 10.0, tree: Tree | None = None) -> None:
        self._request = request
        self._seconds = seconds  # of each server
        if tree is None:
            paths = request.paths or (os.curdir,)
            checked = CheckRequest(paths, select=request.select, ignore=request.ignore, config=request.config)
            tree = Tree(paths, options_of(checked, {}, with_baseline=False))
        self._options, self._workspace, readings = tree.options, tree.workspace, tree.readings
        configuration = self._options.configuration
        self._read = sum(reading.is_read for reading in readings)
        self._problems = [*self._workspace.problems, *(one.problem for one in readings if one.problem)]
        self._files: list[SourceFile] = [reading.file for reading in readings]
        self._declarations: Declarations = tree.declared
        self._problems += self._declarations.problems
        self._kinds: tuple[type[Drift], ...] = tuple(kind for kind in KINDS if configuration.selects(kind.id))
        self._given: list[str] | None = None
        self._has_told = False  # which servers were asked without a credential
        self._not_named: list[Unreadable] = []

    # Which servers, and what they say.

    def look(self) -> list[Server]:
        """What the servers say now. Raises CannotLookError."""
        given = self._named()
        assignment = self._placing(given)
        if not assignment.by_url:
            return []
        from ollama_policy.live.observe import Asked, look

        tokens = fleet.Tokens(os.environ)
        ca_file = _ca_file(self._request.ca_file)
        asked = [Asked(tokens.connection(url, url in given, ca_file), url in given) for url in assignment.by_url]
        if not self._has_told:
            fleet.tell_withheld(one.connection for one in asked)
            self._has_told = True
        return look(asked, self._seconds, self._moving(assignment))

    def _named(self) -> list[str]:
        """The servers that a person named, or whose environment does where declarations leave it to that.

        Asked at every look: behind a DNS name come others. Where it cannot be told any more, the last ones stay, and
        that is a problem of this look.
        """
        request = self._request
        self._not_named = []
        try:
            given = fleet.given(request.hosts, request.hosts_file, request.fleet, self._seconds)
        except CannotLookError as error:
            if self._given is None:
                raise
            self._not_named = [Unreadable("the fleet", f"as it was at the last look: {error}", is_file=False)]
            return self._given
        if not given and any(one.host is None for one in self._declarations.models):
            given = [fleet.by_environment()]
        self._given = given
        return given

    def recorded(self, path: str) -> list[Server]:
        """What servers said once. Raises CannotLookError."""
        try:
            if path == STDIN:
                return snapshot.from_json(sys.stdin.buffer.read(_LARGEST_SNAPSHOT))
            return snapshot.from_json(read_named(path, _LARGEST_SNAPSHOT))
        except OSError as error:
            raise CannotLookError(f"cannot read {path}: {error.strerror}") from None
        except UnreadableError as error:
            raise CannotLookError(f"{path}: {error}") from None

    # What they mean.

    def _placing(self, given: Sequence[str]) -> ServerAssignment:
        return ServerAssignment(self._declarations.models, given)

    def _findings(self, seen: ServerState, assignment: ServerAssignment) -> list[Finding]:
        lost = (one.model_name for one in assignment.lost)
        found = judge(seen, assignment.by_url.get(seen.url, ()), lost, self._declarations.is_complete)
        return [finding for finding in found if finding.rule in self._kinds]

    def _moving(self, assignment: ServerAssignment) -> Callable[[ServerState], frozenset[tuple[str, str, str]]]:
        """What of a server's drift may be there in passing."""

        def moving(seen: ServerState) -> frozenset[tuple[str, str, str]]:
            return frozenset(
                (finding.rule.id, finding.address, finding.value)
                for finding in self._findings(seen, assignment)
                if issubclass(finding.rule, Drift) and finding.rule.moves
            )

        return moving

    def judged(self, servers: Sequence[Server]) -> Result:
        """What is not as declared, with the figures of each server."""
        assignment = self._placing([one.url for one in servers if one.is_given])
        findings: list[Finding] = []
        figures: list[ServerFigures] = []
        remarks: list[str] = []
        problems = [*self._problems, *self._not_named]
        for server in servers:
            if isinstance(server, NoAnswer):
                problems.append(Unreadable(server.url, server.problem, is_file=False))
                figures.append(ServerFigures(server.url, is_up=False))
            else:
                found = self._findings(server, assignment)
                findings += found
                figures.append(_figures(server, found))
                if (words := beyond_known(version_in(server.version))) is not None:
                    remarks.append(f"{server.url}: {words}")
        result = Result(rules=KINDS, notes=self._workspace.notes, searched=self._workspace.searched, read=self._read)
        result.unreadable, result.servers, result.remarks = problems, figures, remarks
        report = check.Report(result, self._options, None)
        report.load_suppressions(self._files, findings)
        report.add_undecided(self._undecided(assignment, {one.url for one in servers}))
        report.add(findings)
        check.sort(result)
        return result

    def _undecided(self, assignment: ServerAssignment, looked_at: set[str]) -> list[tuple[Undecided, set[str]]]:
        every = {kind.id for kind in self._kinds}
        found = [(one, every) for one in (*self._declarations.undecided, *assignment.undecided)]
        for url, models in assignment.by_url.items():
            if url not in looked_at:  # a snapshot of other servers
                reason = f"its server {url} was not looked at"
                found += [
                    (Undecided("host", one.subject.address, one.subject.file, one.subject.span, reason), every)
                    for one in models
                ]
        return found

    def exit_code(self, result: Result) -> int:
        """As `check` gives it; without any server there was nothing to look at, whatever is declared."""
        if not result.servers and not result.unreadable:
            return NOTHING_TO_LOOK_AT
        configuration = self._options.configuration
        fail_on = configuration.fail_on if self._request.fail_on is None else Severity(self._request.fail_on)
        return result.exit_code(fail_on, self._request.is_strict or configuration.is_strict)


def _figures(seen: ServerState, findings: Sequence[Finding]) -> ServerFigures:
    running = seen.running
    return ServerFigures(
        seen.url,
        is_up=True,
        memory_bytes=sum(model.size for model in running.models),
        in_memory=len(running.models),
        pinned=sum(map(running.is_pinned, running.models)),
        orphans=len(orphans(seen)),
        drift=Counter(finding.rule.id for finding in findings),
    )


def _ca_file(path: str | None) -> str | None:
    if path is not None:
        from ollama_provider.ollama.http.certificates import holds_certificates

        if not holds_certificates(path):
            raise CannotLookError(f"--ca-file {path}: expected a file with the certificates of an authority")
    return path
