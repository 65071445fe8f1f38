"""Applies fixes: to contents first, in rounds, and to the disk only once all is done.

Only what was given is written, never through a link, and every byte outside of an edit stays.
"""

# pathlib costs the start 5 ms.
# ruff: noqa: PTH114, PTH118, PTH123

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ollama_policy.check import Options, check
from ollama_policy.discover import is_under, normal
from ollama_policy.result import Reported, Result
from ollama_policy.rules.rule import Fix
from ollama_policy.settings import Edit, SourceFile, Span, apply
from ollama_policy.whole_files import write_whole

_MOST_ROUNDS = 10


class ChangedMeanwhileError(Exception):
    """A file is no longer what was checked, and is left as it is."""


@dataclass(slots=True)
class Fixed:
    """What is left after the fixes, and what they changed: the contents before and after, by path."""

    result: Result
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)
    count: int = 0

    def write(self) -> None:
        """Puts what changed on the disk. Raises OSError and ChangedMeanwhileError."""
        for path, data in self.after.items():
            with open(path, "rb") as stream:
                if stream.read() != self.before[path]:
                    raise ChangedMeanwhileError(path)
            write_whole(path, data)

    def diff(self) -> str:
        """The unified diff of all files."""
        return "".join(_diff(path, self.before[path], data) for path, data in self.after.items())


def fix(paths: Sequence[str], options: Options, *, with_unsafe: bool = False) -> Fixed:
    """Checks, and applies fixes to the contents until no more can be. Nothing is written. Raises as `check`."""
    fixed = Fixed(check(paths, options))
    given = [normal(path) for path in paths]

    def may_edit(path: str) -> bool:
        return path in options.overlay or may_write(path, given)

    for _ in range(_MOST_ROUNDS):
        edits, count = _round(fixed.result.findings, may_edit, with_unsafe)
        if not count:
            break
        for path, (file, of_file) in edits.items():
            fixed.before.setdefault(path, file.data)
            fixed.after[path] = apply(of_file, file.data)
        fixed.count += count
        fixed.result = check(paths, options._replace(overlay=dict(options.overlay) | fixed.after))
    fixed.after = {path: data for path, data in fixed.after.items() if data != fixed.before[path]}
    return fixed


def _round(
    findings: Iterable[Reported], may_edit: Callable[[str], bool], with_unsafe: bool
) -> tuple[Mapping[str, tuple[SourceFile, list[Edit]]], int]:
    """The edits that do not touch each other, by path: of two that do, the first has this round. And how many fixes."""
    edits: dict[str, tuple[SourceFile, list[Edit]]] = {}
    taken: dict[str, _Ranges] = {}
    count = 0
    for reported in findings:
        chosen = _choose(reported.finding.fixes, with_unsafe)
        if chosen is None or not all(may_edit(edit.file.path) for edit in chosen.edits):
            continue
        if any(taken.setdefault(edit.file.path, _Ranges()).touches(edit.span) for edit in chosen.edits):
            continue
        count += 1
        for edit in chosen.edits:
            taken[edit.file.path].add(edit.span)
            edits.setdefault(edit.file.path, (edit.file, []))[1].append(_with_line_ends(edit))
    return edits, count


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

    from ollama_policy.formats.escaping import shown, without_commands  # noqa: PLC0415

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
