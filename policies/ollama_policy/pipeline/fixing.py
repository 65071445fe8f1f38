"""Applies fixes: to contents first, in rounds, and to the disk only once all is done.

Only what was given is written, never through a link, and every byte outside of an edit stays. A fix counts only once a
check of what it wrote shows that its finding is gone, and that nothing is refused which was not refused before.
"""

# pathlib costs the start 5 ms.
# ruff: noqa: PTH114, PTH118

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ollama_policy.model.result import Result
from ollama_policy.model.rule import Finding, Fix
from ollama_policy.model.settings import Edit, SourceFile, Span, apply
from ollama_policy.pipeline.check import Options, check
from ollama_policy.pipeline.discover import is_under, normal
from ollama_policy.rules import RULES
from ollama_policy.text.named_files import read_named
from ollama_provider.files.atomic import write_whole

_MOST_CHECKS: Final = 200  # of one run: fixes that have to be told apart take some, and each round one
# What an apply or a request is refused for.
_REFUSALS: Final = frozenset(("OLL002", "OLL003", "OLL006", "OLL401", "OLL404"))


class ChangedMeanwhileError(Exception):
    """A file is no longer what was checked, and is left as it is."""


@dataclass(slots=True)
class Fixed:
    """What is left after the fixes, and what they changed: the contents before and after, by path.

    `left_out` is how many fixes were not taken, for what a check of their result shows.
    """

    result: Result
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)
    count: int = 0
    left_out: int = 0
    written: list[str] = field(default_factory=list)

    def told(self) -> str:
        """Which files have their fixes already, in words, where one could not be written."""
        return f"fixed before it: {', '.join(self.written)}" if self.written else "nothing was written"

    def write(self) -> None:
        """Puts what changed on the disk. Raises OSError and ChangedMeanwhileError."""
        for path, data in self.after.items():
            if read_named(path) != self.before[path]:
                raise ChangedMeanwhileError(path)
            write_whole(path, data)
            self.written.append(path)

    def diff(self) -> str:
        """The unified diff of all files."""
        return "".join(_diff(path, self.before[path], data) for path, data in self.after.items())

    def summary(self) -> str:
        """What was done, and what was not, in one line."""
        done = f"fixed {self.count} in {len(self.after)} files"
        why = "the finding would stay, or an apply would refuse what they write"
        return f"{done}; left out {self.left_out}: {why}" if self.left_out else done


def fix(paths: Sequence[str], options: Options, *, with_unsafe: bool = False) -> Fixed:
    """Checks, and applies fixes to the contents until no more can be. Nothing is written. Raises as `check`."""
    return _Fixing(paths, options, with_unsafe).run()


class _Identity(NamedTuple):
    """What a finding is known by from one round to the next, wherever in its file it stands."""

    rule: str
    path: str
    address: str
    message: str


class _Candidate(NamedTuple):
    """A fix that may be applied, and the finding that it is to remove."""

    of: _Identity
    edits: tuple[Edit, ...]


class _Verdict(NamedTuple):
    """What all rules find, whoever accepts it, what of it is a refusal, and the files that cannot be read."""

    found: Counter[_Identity]
    refusals: Counter[tuple[str, str, str]]  # by rule, path and message: an address may be a line, and move
    unreadable: frozenset[str]


class _Fixing:
    """The contents as they come to be, round by round."""

    def __init__(self, paths: Sequence[str], options: Options, with_unsafe: bool) -> None:
        self._paths, self._options, self._with_unsafe = paths, options, with_unsafe
        self._given = [normal(path) for path in paths]
        self._checks = 0
        self._left_out: set[_Identity] = set()
        self._taken: Counter[_Identity] = Counter()
        self._files: dict[str, SourceFile] = {}
        self._contents: dict[str, bytes] = {}
        self._seen: list[dict[str, bytes]] = [{}]
        self._result = check(paths, options)
        self._at_first = Counter((one.finding.file.path, one.finding.address) for one in self._result.findings)

    def run(self) -> Fixed:
        before: dict[str, bytes] = {}
        while candidates := self._candidates():
            self._files = {edit.file.path: edit.file for one in candidates for edit in one.edits}
            taken = self._good_of([], candidates, self._verdict(self._contents))
            if not taken:
                continue  # what was not taken is no candidate again
            for one in taken:
                self._taken[one.of] += 1
                for edit in one.edits:
                    before.setdefault(edit.file.path, edit.file.data)
            self._left_out.clear()  # what was not good may be, beside what is written now
            self._contents = self._written(taken)
            self._seen.append(self._contents)
            self._result = check(self._paths, self._with(self._options, self._contents))
        after = {path: data for path, data in self._contents.items() if data != before[path]}
        count = self._taken.total() if after else 0
        return Fixed(self._result, before, after, count, len(self._left_out))

    def _candidates(self) -> list[_Candidate]:
        """Fixes that do not touch each other: of two that do, the first has this round."""
        found: list[_Candidate] = []
        taken: dict[str, _Ranges] = {}
        for reported in self._result.findings:
            chosen, of = _choose(reported.finding.fixes, self._with_unsafe), _identity(reported.finding)
            if chosen is None or not all(self._may_edit(edit.file.path) for edit in chosen.edits):
                continue
            if any(taken.setdefault(edit.file.path, _Ranges()).touches(edit.span) for edit in chosen.edits):
                continue
            if self._taken[of] >= max(1, self._at_first[of.path, of.address]):
                self._left_out.add(of)  # it was gone, and is back: fixes bring each other's findings
            if of in self._left_out:
                continue
            for edit in chosen.edits:
                taken[edit.file.path].add(edit.span)
            found.append(_Candidate(of, tuple(map(_with_line_ends, chosen.edits))))
        return found

    def _may_edit(self, path: str) -> bool:
        return path in self._options.overlay or may_write(path, self._given)

    def _good_of(self, good: list[_Candidate], more: list[_Candidate], now: _Verdict) -> list[_Candidate]:
        """Those that are good, and of `more` those that are good with them, found by halves; the rest is left out."""
        if self._checks < _MOST_CHECKS and self._are_good([*good, *more], now):
            return [*good, *more]
        if len(more) == 1 or self._checks >= _MOST_CHECKS:
            self._left_out |= {one.of for one in more}
            return good
        half = len(more) // 2
        return self._good_of(self._good_of(good, more[:half], now), more[half:], now)

    def _are_good(self, candidates: list[_Candidate], now: _Verdict) -> bool:
        """Whether each removes its finding, and nothing comes to be refused, unreadable, or as it was before."""
        contents = self._written(candidates)
        if contents in self._seen:
            return False
        then = self._verdict(contents)
        removed = Counter(one.of for one in candidates)
        return (
            then.unreadable <= now.unreadable
            and all(then.found[one] <= now.found[one] - count for one, count in removed.items())
            and then.refusals <= now.refusals
        )

    def _written(self, candidates: Sequence[_Candidate]) -> dict[str, bytes]:
        edits: dict[str, list[Edit]] = {}
        for one in candidates:
            for edit in one.edits:
                edits.setdefault(edit.file.path, []).append(edit)
        return self._contents | {path: apply(of_file, self._files[path].data) for path, of_file in edits.items()}

    def _verdict(self, contents: Mapping[str, bytes]) -> _Verdict:
        """What every rule says, also of what is not selected here: a fix must not bring it."""
        self._checks += 1
        configuration = self._options.configuration._replace(select=(), ignore=(), per_path_ignores={})
        every = self._options._replace(
            rules=tuple(dict.fromkeys((*self._options.rules, *RULES))), configuration=configuration, baseline=None
        )
        result = check(self._paths, self._with(every, contents))
        found = [_identity(one.finding) for one in (*result.findings, *result.accepted)]
        refusals = Counter((one.rule, one.path, one.message) for one in found if one.rule in _REFUSALS)
        return _Verdict(Counter(found), refusals, frozenset(one.path for one in result.unreadable))

    @staticmethod
    def _with(options: Options, contents: Mapping[str, bytes]) -> Options:
        return options._replace(overlay=dict(options.overlay) | dict(contents))


def _identity(finding: Finding) -> _Identity:
    return _Identity(finding.rule.id, finding.file.path, finding.address, finding.message)


class _Ranges:
    """Ranges of one file that do not touch each other but for those of one fix, in the order of their starts."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def touches(self, span: Span) -> bool:
        at = bisect_right(self._starts, span.end)
        return at > 0 and self._ends[at - 1] >= span.start

    def add(self, span: Span) -> None:
        at = bisect_right(self._starts, span.start)
        self._starts.insert(at, span.start)
        self._ends.insert(at, max(span.end, self._ends[at - 1] if at else 0))


def _choose(fixes: Sequence[Fix], with_unsafe: bool) -> Fix | None:
    safe = next((one for one in fixes if one.is_safe and one.edits), None)
    return safe or (next((one for one in fixes if one.edits), None) if with_unsafe else None)


def _with_line_ends(edit: Edit) -> Edit:
    """The edit with the line ends that the file has."""
    if "\n" not in edit.text or edit.file.line_end == "\n":
        return edit
    return edit._replace(text=edit.text.replace("\r\n", "\n").replace("\n", "\r\n"))


def may_write(path: str, given: Sequence[str]) -> bool:
    """Whether a path is in what was given, and no link leads to it."""
    for root in given:
        if path == root:
            return not os.path.islink(path) and os.path.isfile(path)  # noqa: PTH113
        if is_under(path, root):
            inside = path if root == os.curdir else path[len(root.rstrip("/")) + 1 :]
            return os.path.realpath(path) == os.path.join(os.path.realpath(root), inside)
    return False


def _diff(path: str, before: bytes, after: bytes) -> str:
    from difflib import unified_diff  # noqa: PLC0415 - costs 5 ms to those who want no diff

    from ollama_policy.text.escaping import shown, without_commands  # noqa: PLC0415

    lines = unified_diff(list(_lines(before)), list(_lines(after)), f"a/{shown(path)}", f"b/{shown(path)}")
    text = "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
    if without_commands(text) == text:
        return text
    # Altered it would not apply, and as it is a job's log would be obeyed.
    return f"# {shown(path)}: its diff is left out, for a CI runner would take a line of it for a command\n"


def _lines(data: bytes) -> Iterator[str]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end + 1
        yield data[start:end].decode("utf-8", "surrogateescape")
        start = end
