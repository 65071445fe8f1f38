"""For people: the line that is wrong, what is wrong in it, and what to write instead.

infra/models.tf:3:23 error OLL001 automatic-without-bound: nothing bounds how long "chat" stays in memory
  |   memory_management = "automatic"
  |                       ^^^^^^^^^^^ release is left to the server's default and to every client
  = fix: - memory_management = "automatic"
         + memory_management = "manual"          (or: keep_alive = "5m")
         the next apply pins it until you release it
  = why: ollama-policy explain OLL001
1 error, 0 warnings, 0 undecided, 0 suppressed, in 1 file
"""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ollama_policy.formats.rule_pages import page_of
from ollama_policy.formats.writing import Look, many, place_of
from ollama_policy.model.result import Reported, Result, Undecided, Unreadable
from ollama_policy.model.rule import Severity
from ollama_policy.model.settings import Position, SourceFile
from ollama_policy.text.escaping import file_uri, shown, shown_path

if TYPE_CHECKING:
    from ollama_policy.formats.changes import Change

_COLOURS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}
_DIM, _BOLD, _RED, _GREEN = "2", "1", "31", "32"
_TAB = 4
_WIDEST = 160  # columns of an excerpt
_MOST_INLINE = 3
_GAP = " " * 10


def render(result: Result, look: Look) -> str:
    lines: list[str] = []
    for problem in result.unreadable:
        lines.append(_problem(problem, look))
    for reported in result.findings:
        lines += _finding(reported, look)
    if look.is_verbose:
        lines += [f"{_place(one.file, one.start)} undecided: {_about(one)}" for one in result.undecided]
        lines += [f"note: {shown(note)}" for note in result.notes]
    lines += [f"note: {shown(remark)}" for remark in result.remarks]
    lines.append(summary(result, look))
    return "\n".join(lines) + "\n"


def _problem(problem: Unreadable, look: Look) -> str:
    place = shown_path(problem.path)
    if problem.place is not None:
        place += f":{problem.place.line}:{problem.place.column}"
    return f"{_painted(place, _BOLD, look)} {_painted('unreadable', '1;31', look)}: {shown(problem.message)}"


def _finding(reported: Reported, look: Look) -> Iterator[str]:
    finding, rule = reported.finding, reported.finding.rule
    start, end = reported.start, reported.end
    place = _painted(_place(finding.file, start), _BOLD, look)
    if look.has_links and finding.file.is_file:
        place = _linked(place, file_uri(os.path.realpath(finding.file.path)))
    severity = _painted(reported.severity.value, _COLOURS[reported.severity], look)
    page = page_of(rule.id) if look.has_links else None
    rule_id = _linked(rule.id, page) if page else rule.id
    yield f"{place} {severity} {rule_id} {rule.name}: {shown(finding.message)}"
    if finding.file.is_file:
        excerpt, carets = _excerpt(finding.file, start, end)
        yield f"  | {excerpt}".rstrip()
        indent = carets[: len(carets) - len(carets.lstrip())]
        carets = _painted(carets.lstrip(), _COLOURS[reported.severity], look, indent)
        yield f"  | {carets} {shown(finding.label)}".rstrip()
    yield from _fix(reported, look)
    yield f"  = why: ollama-policy explain {rule.id}"


def _fix(reported: Reported, look: Look) -> Iterator[str]:
    finding = reported.finding
    if not finding.fixes:
        advice = finding.advice or finding.rule.fix
        yield f"  = fix: {shown(advice)}"
        return
    from ollama_policy.formats.changes import changes_of  # noqa: PLC0415 - a clean run has none

    lines: list[str] = []
    for change in changes_of(finding.fixes[0]):
        if change.file.path != finding.file.path:
            lines.append(f"in {shown(change.file.path)}:")
        lines += [_painted(f"- {shown(line)}", _RED, look) for line in change.removed]
        lines += [_painted(f"+ {shown(line)}", _GREEN, look) for line in change.added]
    others = [_in_short(changes_of(fix), fix.title) for fix in finding.fixes[1:]]
    for index, line in enumerate(lines or [shown(finding.fixes[0].title)]):
        head = "  = fix: " if index == 0 else "         "
        is_last = index == max(len(lines) - 1, 0)
        yield head + line + (f"{_GAP}(or: {', or: '.join(others)})" if is_last and others else "")
    if lines and finding.fixes[0].effect:
        yield f"         {shown(finding.fixes[0].effect)}"


def _in_short(changes: "list[Change]", title: str) -> str:
    added = [line for change in changes for line in change.added if line]
    return shown("; ".join(added) or title)


def _excerpt(file: SourceFile, start: Position, end: Position) -> tuple[str, str]:
    """A line and the carets under a range of it, tabs and wide characters counted as a terminal does.

    Of a long line only the part around the range is shown.
    """
    line = file.line(start.line)
    last = end.column - 1 if end.line == start.line else len(line)
    first = start.column - 1
    cut = 0
    if len(line) > _WIDEST:
        cut = max(0, first - _WIDEST // 4)
        line, is_cut_after = line[cut : cut + _WIDEST], cut + _WIDEST < len(line)
        first, last = first - cut, min(last - cut, _WIDEST)
        if cut:
            line, first, last = "…" + line, first + 1, last + 1
        line += "…" if is_cut_after else ""
    excerpt, ends = _cells(line)
    left = 0 if first <= 0 or not ends else ends[min(first, len(ends)) - 1]
    right = ends[min(last, len(ends)) - 1] if last > 0 and ends else left
    return excerpt, " " * left + "^" * max(1, right - left)


def _cells(line: str) -> tuple[str, Sequence[int]]:
    """A line as it is shown, and how many columns it has up to the end of each of its characters."""
    if line.isascii() and line.isprintable():
        return line, range(1, len(line) + 1)
    cells, ends, at = [], [], 0
    for character in line:
        cell = " " * (_TAB - at % _TAB) if character == "\t" else shown(character)
        at += len(cell) if cell != character else _width(character)
        cells.append(cell)
        ends.append(at)
    return "".join(cells), ends


def _width(character: str) -> int:
    if character.isascii():
        return 1
    from unicodedata import combining, east_asian_width  # noqa: PLC0415 - only for those who need it

    return 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1


def summary(result: Result, look: Look) -> str:
    """The last line, which counts everything."""
    errors, warnings, notes = (result.count(severity) for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO))
    parts = [many(errors, "error"), many(warnings, "warning")]
    if notes:
        parts.append(f"{notes} info")
    if result.unreadable:
        parts.append(f"{len(result.unreadable)} unreadable")
    parts.append(f"{len(result.undecided)} undecided{_inline(result.undecided, look)}")
    parts.append(f"{len(result.accepted)} suppressed")
    where = f"in {many(result.read, 'file')}"
    if result.servers:
        return ", ".join([*parts, f"{where} and on {many(len(result.servers), 'server')}"])
    if not result.searched and not result.unreadable:
        return "nothing to look at: no file here can hold Ollama settings"
    if not result.read and not result.unreadable:
        where += f" ({many(result.searched, 'file')} searched, none with Ollama settings)"
    return ", ".join([*parts, where])


def _inline(undecided: list[Undecided], look: Look) -> str:
    if not undecided or look.is_verbose:
        return ""
    said = [f"{_place(one.file, one.start)} {shown(one.reason)}" for one in undecided[:_MOST_INLINE]]
    if len(undecided) > _MOST_INLINE:
        said.append(f"and {len(undecided) - _MOST_INLINE} more: --verbose")
    return f" ({'; '.join(said)})"


def _about(one: Undecided) -> str:
    about = f"{one.key} of {one.address}" if one.key else one.address
    return shown(f"{about}: {one.reason}" if about else one.reason)


def _place(file: SourceFile, position: Position) -> str:
    return shown_path(place_of(file, position))


def _linked(text: str, address: str) -> str:
    return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\"


def _painted(text: str, colour: str, look: Look, before: str = "") -> str:
    return before + (f"\x1b[{colour}m{text}\x1b[0m" if look.has_colour else text)
