"""What a check comes to. Formats write it; the command line makes an exit code of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ollama_policy.model.rule import Finding, Rule, Severity
from ollama_policy.model.settings import Position, SourceFile, Span

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}

CLEAN, FINDINGS, COULD_NOT_LOOK, NOTHING_TO_LOOK_AT = range(4)


class Reported(NamedTuple):
    """A finding as it is reported: with the severity that the configuration gives it.

    `accepted` says why it does not count: a suppression's reason, or the baseline. Empty where it counts.
    """

    finding: Finding
    severity: Severity
    accepted: str = ""
    is_in_source: bool = True  # accepted by a comment in the file, not by a baseline

    @property
    def start(self) -> Position:
        return self.finding.file.position(self.finding.span.start)

    @property
    def end(self) -> Position:
        """The place after the range; never the start, for a range must not be empty."""
        start = self.start
        end = self.finding.file.position(self.finding.span.end)
        return end if end > start else Position(start.line, start.column + 1)


class Undecided(NamedTuple):
    """A value that a selected rule is about and that cannot be known by reading."""

    key: str
    address: str
    file: SourceFile
    span: Span
    reason: str

    @property
    def start(self) -> Position:
        return self.file.position(self.span.start)


class Unreadable(NamedTuple):
    """A file, folder or server that should have been looked at and could not be. `place` is None where there is none.

    `path` is a server's address where it is not a file.
    """

    path: str
    message: str
    place: Position | None = None
    is_internal: bool = False  # our own defect, not the file's
    is_file: bool = True  # and no server


class ServerFigures(NamedTuple):
    """What a look at one server came to, in figures. `drift` counts by rule; bytes are Ollama's own estimate."""

    url: str
    is_up: bool
    memory_bytes: int = 0
    in_memory: int = 0
    pinned: int = 0
    orphans: int = 0
    drift: Mapping[str, int] = {}


class Result:
    """Everything that one run found, in order of file and place."""

    def __init__(
        self,
        *,
        rules: tuple[type[Rule], ...] = (),
        notes: Sequence[str] = (),
        searched: int = 0,
        read: int = 0,
        findings: Iterable[Reported] = (),
    ) -> None:
        self.rules = rules
        self.notes = notes
        self.remarks: list[str] = []  # what the verdicts take for granted, in sentences
        self.searched = searched  # files whose name may hold settings
        self.read = read  # files that a source read
        self.findings = list(findings)
        self.accepted: list[Reported] = []
        self.undecided: list[Undecided] = []
        self.unreadable: list[Unreadable] = []
        self.servers: list[ServerFigures] = []  # that were looked at; a check of files looks at none

    def count(self, severity: Severity) -> int:
        return sum(reported.severity is severity for reported in self.findings)

    def by_rule(self) -> Counter[tuple[str, Severity]]:
        return Counter((reported.finding.rule.id, reported.severity) for reported in self.findings)

    def exit_code(self, fail_on: Severity = Severity.WARNING, is_strict: bool = False) -> int:
        """0 clean, 1 findings, 2 something could not be looked at, 3 there was nothing to look at."""
        if self.unreadable:
            return COULD_NOT_LOOK
        if not self.searched and not self.servers:
            return NOTHING_TO_LOOK_AT
        if any(_RANK[reported.severity] >= _RANK[fail_on] for reported in self.findings):
            return FINDINGS
        return FINDINGS if is_strict and self.undecided else CLEAN


Key = tuple[str, str, str, str]


def key_of(finding: Finding, relative: Callable[[str], str] = str) -> Key:
    """What a finding is known by from one run to the next: rule, file, address and value, not its line."""
    return finding.rule.id, relative(finding.file.path), finding.address, finding.value
