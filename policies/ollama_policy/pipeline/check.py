"""The pipeline: discover, read, judge, accept, report. Every step's defect costs its file, never the run."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ollama_policy.errors import TooLargeError, UnreadableError
from ollama_policy.model.result import Reported, Result, Undecided, Unreadable
from ollama_policy.model.rule import Finding, Rule, Target
from ollama_policy.model.servers import versions_of
from ollama_policy.model.settings import Kind, SourceFile, Span, Subject
from ollama_policy.pipeline.configuration import Configuration
from ollama_policy.pipeline.discover import Candidate, Entry, Workspace
from ollama_policy.pipeline.gitignore import IgnoreFile, relative_to
from ollama_policy.pipeline.offering import offered
from ollama_policy.rules.checker_comments import CHECKER_COMMENTS
from ollama_policy.sources.common.budget import SETTINGS, Budget
from ollama_provider.ollama.versions import beyond_known

if TYPE_CHECKING:
    from datetime import date

    from ollama_policy.pipeline.baseline import Baseline
    from ollama_policy.pipeline.suppressions import Suppression

Progress = Callable[[int, int], None]
_MARKER = b"ollama-policy:"  # of a suppression
_EVERY = 64  # files between two reports of progress
_A_SUBJECT = 10  # settings: what it takes without any


def _today() -> "date":
    from datetime import date  # noqa: PLC0415 - most runs have no suppressions, and need no date

    return date.today()


class Options(NamedTuple):
    """What a run is asked for. `overlay` holds contents that count in place of what is on the disk."""

    rules: Sequence[type[Rule]]
    configuration: Configuration = Configuration()
    baseline: SourceFile | None = None
    overlay: Mapping[str, bytes] = {}
    today: Callable[[], "date"] = _today
    progress: Progress = lambda done, total: None


class Reading:
    """What one file came to."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.subjects: list[Subject] = []
        self.problem: Unreadable | None = None
        self.offset = 0  # where it is
        self.is_too_large = False  # which a check calls undecided: nothing is wrong with the file
        self.is_read = False


def check(paths: Sequence[str], options: Options) -> Result:
    """Checks files and folders. Raises UnreadableError only for a baseline that is none."""
    configuration = options.configuration
    relative = relative_to(configuration.folder)
    exclude = [IgnoreFile(configuration.exclude, relative)] if configuration.exclude else []
    workspace = Workspace(paths, exclude=exclude, overlay=options.overlay)
    return judged(workspace, read_all(workspace, options.progress), options)


def judged(workspace: Workspace, readings: Sequence[Reading], options: Options) -> Result:
    """What a tree that was read comes to. Raises as `check`."""
    configuration = options.configuration
    baseline = None if options.baseline is None else _baseline(options.baseline)
    chosen = tuple(rule for rule in (*options.rules, *CHECKER_COMMENTS) if configuration.selects(rule.id))
    result = Result(rules=(*options.rules, *CHECKER_COMMENTS), notes=workspace.notes, searched=workspace.searched)
    result.unreadable = workspace.problems + [one.problem for one in readings if one.problem and not one.is_too_large]
    result.read = sum(reading.is_read for reading in readings)
    subjects = [subject for reading in readings for subject in reading.subjects]
    versions = versions_of(subjects, configuration.target)
    result.remarks += [words for version in versions if (words := beyond_known(version)) is not None]
    judged = list(_judge_all([rule() for rule in chosen], subjects, configuration.target, result.unreadable))
    findings = offered(judged, subjects, configuration.target, configuration.cures)
    report = Report(result, options, baseline)
    report.load_suppressions([reading.file for reading in readings], findings)
    report.add_undecided(_too_large(chosen, readings))
    report.add_undecided(_undecided(chosen, subjects))
    report.add(findings)
    report.add_own_findings(chosen, None if not any(e.is_given for e in workspace.entries) else workspace.entries)
    sort(result)
    return result


def _baseline(file: SourceFile) -> "Baseline":
    from ollama_policy.pipeline.baseline import Baseline  # noqa: PLC0415 - most runs have none

    return Baseline(file)


# Reading.


def read_all(workspace: Workspace, progress: Progress) -> list[Reading]:
    """What every file comes to that a source reads."""
    readings = []
    total = len(workspace.entries)
    second = workspace.second_core()
    flags = b""
    budget = SETTINGS.of(workspace)
    for index, entry in enumerate(workspace.entries):
        if index % _EVERY == 0:
            progress(index, total)
        if second is not None and index >= second.half:
            if index == second.half:
                flags = second.flags()
            if flags[index - second.half : index - second.half + 1] == b"\1":
                workspace.searched += 1
                continue
        candidate = workspace.candidate(entry)
        if candidate is not None:
            readings.append(_read(candidate, workspace, budget))
    progress(total, total)
    return readings


def _read(candidate: Candidate, workspace: Workspace, budget: Budget) -> Reading:
    reading = Reading(candidate.file)
    budget.grow(len(candidate.file.data))
    path = candidate.file.path
    for registered in candidate.sources:
        try:
            source = registered.source
            if not source.accepts(candidate.file):
                continue
            reading.is_read = True
            for subject in source.read(candidate.file, workspace):
                budget.spend(_A_SUBJECT + subject.bound(), subject.span.start)
                reading.subjects.append(subject)
        except UnreadableError as error:
            reading.problem = Unreadable(path, str(error), candidate.file.position(error.offset))
            reading.offset, reading.is_too_large = error.offset, isinstance(error, TooLargeError)
        except UnicodeDecodeError as error:
            reading.problem = Unreadable(
                path, "not UTF-8, expected text in UTF-8", candidate.file.position(error.start)
            )
        except Exception as error:  # noqa: BLE001 - a source's defect must not end the run, nor pass for a clean file
            reading.problem = _internal(path, registered.module, error)
        break
    return reading


def _internal(path: str, where: str, error: Exception) -> Unreadable:
    return Unreadable(path, f"internal error in {where}: {type(error).__name__}: {error}"[:500], is_internal=True)


# Judging.


def _judge_all(
    rules: Iterable[Rule], subjects: Sequence[Subject], target: Target, problems: list[Unreadable]
) -> Iterator[Finding]:
    """The findings of all rules, each place once a rule: what is counted out twice is still written once."""
    by_kind: dict[Kind, list[Subject]] = {kind: [] for kind in Kind}
    for subject in subjects:
        by_kind[subject.kind].append(subject)
    for rule in rules:
        seen: set[tuple[str, int, int]] = set()
        for finding in _judge(rule, by_kind, subjects, target, problems):
            place = finding.file.path, finding.span.start, finding.span.end
            if place not in seen:
                seen.add(place)
                yield finding


def _judge(
    rule: Rule,
    by_kind: Mapping[Kind, Sequence[Subject]],
    subjects: Sequence[Subject],
    target: Target,
    problems: list[Unreadable],
) -> Iterator[Finding]:
    if type(rule).judge is not Rule.judge:
        for subject in by_kind[rule.kind]:
            try:
                yield from rule.judge(subject, target)
            except Exception as error:  # noqa: BLE001 - a rule's defect must not end the run
                problems.append(_internal(subject.file.path, rule.id, error))
    if type(rule).judge_all is not Rule.judge_all:
        try:
            yield from rule.judge_all(subjects, target)
        except Exception as error:  # noqa: BLE001
            problems.append(_internal(os.curdir, rule.id, error))


def _too_large(rules: Iterable[type[Rule]], readings: Iterable[Reading]) -> Iterator[tuple[Undecided, set[str]]]:
    """The files that were not read to their end, which is for all rules."""
    ids = {rule.id for rule in rules}
    for reading in readings:
        if reading.is_too_large and reading.problem is not None:
            span = Span(reading.offset, reading.offset)
            yield Undecided("", "", reading.file, span, reading.problem.message), ids


def _undecided(rules: Iterable[type[Rule]], subjects: Iterable[Subject]) -> Iterator[tuple[Undecided, set[str]]]:
    """What the rules are about and cannot be known, each with the ids of these rules."""
    by_key: dict[tuple[Kind, str], set[str]] = {}
    by_kind: dict[Kind, set[str]] = {}
    for rule in rules:
        for key in rule.keys:
            by_key.setdefault((rule.kind, key), set()).add(rule.id)
            by_kind.setdefault(rule.kind, set()).add(rule.id)
    seen: set[tuple[str, int, str]] = set()
    for subject in subjects:
        found = []
        if subject.unknown is not None and subject.kind in by_kind:
            whole = Undecided("", subject.address, subject.file, subject.span, subject.unknown.reason)
            found.append((whole, by_kind[subject.kind]))
        for setting in subject.settings.values():
            if not setting.is_known and (ids := by_key.get((subject.kind, setting.key))):
                reason = setting.value.reason
                found.append((Undecided(setting.key, subject.address, setting.file, setting.span, reason), ids))
        for one, ids in found:
            place = one.file.path, one.span.start, one.reason
            if place not in seen:
                seen.add(place)
                yield one, ids


# Reporting.


def _matches(file: IgnoreFile, path: str) -> bool:
    """Whether the path, or a folder that it is in, is mentioned."""
    parts = path.split("/")
    return any(file.verdict("/".join(parts[: end + 1]), parts[end], end < len(parts) - 1) for end in range(len(parts)))


class Report:
    """Sorts findings into those that count and those that somebody accepted."""

    def __init__(self, result: Result, options: Options, baseline: "Baseline | None") -> None:
        self._result = result
        self._configuration = options.configuration
        self._baseline = baseline
        relative = relative_to(options.configuration.folder)
        self._ignores = [
            (IgnoreFile([pattern], relative), prefixes)
            for pattern, prefixes in options.configuration.per_path_ignores.items()
        ]
        self._ignored: dict[str, tuple[str, ...]] = {}
        self._options = options
        self._today: date | None = None
        self._suppressions: dict[str, list[Suppression]] = {}
        self._by_line: dict[tuple[str, int], list[Suppression]] = {}

    def load_suppressions(self, files: Iterable[SourceFile], findings: Iterable[Finding]) -> None:
        every = {file.path: file for file in files} | {finding.file.path: finding.file for finding in findings}
        marked = {path: file for path, file in every.items() if _MARKER in file.data}
        if marked:
            from ollama_policy.pipeline.suppressions import suppressions_in  # noqa: PLC0415 - most runs have none
            from ollama_policy.rules.drift_kinds import KINDS  # noqa: PLC0415 - whose findings a comment may accept, too

            known = {rule.id for rule in (*self._result.rules, *KINDS)}
            self._today = self._options.today()
            self._suppressions = {path: suppressions_in(file, known) for path, file in marked.items()}
            for path, suppressions in self._suppressions.items():
                for suppression in suppressions:
                    self._by_line.setdefault((path, suppression.line), []).append(suppression)

    def add_undecided(self, undecided: Iterable[tuple[Undecided, set[str]]]) -> None:
        for one, ids in undecided:
            if not self._accepting(one.file, one.span.start, ids):
                self._result.undecided.append(one)

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            rule = finding.rule
            path = finding.file.path
            if self._ignores and rule.id.startswith(self._ignored_in(path)):
                continue
            severity = self._configuration.severity_of(rule.id, finding.severity or rule.severity)
            suppression = self._accepting(finding.file, finding.span.start, {rule.id})
            if suppression is not None:
                self._result.accepted.append(Reported(finding, severity, suppression.reason))
            elif self._baseline is not None and self._baseline.accepts(finding):
                self._result.accepted.append(Reported(finding, severity, "in the baseline", is_in_source=False))
            else:
                self._result.findings.append(Reported(finding, severity))

    def _ignored_in(self, path: str) -> tuple[str, ...]:
        """The ids, or their beginnings, of the rules that are not used in a file."""
        if path not in self._ignored:
            found = (prefixes for file, prefixes in self._ignores if _matches(file, path))
            self._ignored[path] = tuple(one for prefixes in found for one in prefixes)
        return self._ignored[path]

    def _accepting(self, file: SourceFile, offset: int, ids: set[str]) -> "Suppression | None":
        if file.path not in self._suppressions:
            return None
        assert self._today is not None
        for suppression in self._by_line.get((file.path, file.position(offset).line), ()):
            if suppression.covers(ids):
                suppression.is_used = True
                if not suppression.is_expired(self._today):
                    return suppression
        return None

    def add_own_findings(self, chosen: Collection[type[Rule]], given: Sequence[Entry] | None) -> None:
        """What is wrong with suppressions and baseline. `given`: the files, where not a whole tree was looked at."""
        broken = {problem.path for problem in self._result.unreadable}
        # What only a whole tree shows may be missing because the rest of it was not given.
        certain = {rule.id for rule in chosen if given is None or rule.judge_all is Rule.judge_all}
        found = []
        for path, suppressions in self._suppressions.items():
            assert self._today is not None
            for suppression in suppressions:
                could_be_used = path not in broken and certain.issuperset(suppression.ids)
                if suppression.problem or suppression.is_expired(self._today) or could_be_used:
                    found.append(suppression.finding(self._today))
        if self._baseline is not None:
            found += self._baseline.stale(None if given is None else [entry.path for entry in given])
        self.add(one for one in found if one is not None and one.rule in chosen)


def sort(result: Result) -> None:
    """Brings everything that was found into the order of files and places."""

    def place(finding: Finding) -> tuple[str, int, int, str, str]:
        return finding.file.path, finding.span.start, finding.span.end, finding.rule.id, finding.message

    result.findings.sort(key=lambda reported: place(reported.finding))
    result.accepted.sort(key=lambda reported: place(reported.finding))
    result.undecided.sort(key=lambda one: (one.file.path, one.span.start, one.key))
    result.unreadable.sort(key=lambda one: (one.path, one.place is not None, one.place or (0, 0)))
