"""What a fix changes, as the lines that go and the lines that come."""

from typing import NamedTuple

from ollama_policy.model.rule import Fix
from ollama_policy.model.settings import Edit, SourceFile, Span, apply

_MOST = 200  # bytes of a line before an edit and behind it: of a line with a thousand findings each shows its part
_LEFT_OUT = "…".encode()


class Change(NamedTuple):
    """The lines of one file that a fix replaces, without their indentation and ends."""

    file: SourceFile
    removed: tuple[str, ...]
    added: tuple[str, ...]


def changes_of(fix: Fix) -> list[Change]:
    """One change a file, in the order of the fix's edits."""
    files = {edit.file.path: edit.file for edit in fix.edits}
    return [_change(fix, file) for file in files.values()]


def _change(fix: Fix, file: SourceFile) -> Change:
    edits = [edit for edit in fix.edits if edit.file.path == file.path]
    first, last = min(edit.span.start for edit in edits), max(edit.span.end for edit in edits)
    start, head = _line_start(file.data, first)
    end, tail = _line_end(file.data, last)
    text = file.data[start:end]
    edited = apply((_moved(edit, -start) for edit in edits), text)
    before, after = (_lines(head + each + tail) for each in (text, edited))
    while before and after and before[0] == after[0]:
        before, after = before[1:], after[1:]
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return Change(file, tuple(before), tuple(after))


def _line_start(data: bytes, at: int) -> tuple[int, bytes]:
    """Where the line of a place begins, or of a long one a part of it, and what stands for what is left out."""
    start = data.rfind(b"\n", max(0, at - _MOST), at) + 1
    if start or at <= _MOST:
        return start, b""
    start = at - _MOST
    while start < at and 0x80 <= data[start] < 0xC0:
        start += 1
    return start, _LEFT_OUT


def _line_end(data: bytes, at: int) -> tuple[int, bytes]:
    end = data.find(b"\n", at, at + _MOST)
    if end >= 0 or len(data) <= at + _MOST:
        return (len(data) if end < 0 else end + 1), b""
    end = at + _MOST
    while end > at and 0x80 <= data[end] < 0xC0:
        end -= 1
    return end, _LEFT_OUT


def _moved(edit: Edit, by: int) -> Edit:
    return edit._replace(span=Span(edit.span.start + by, edit.span.end + by))


def _lines(data: bytes) -> list[str]:
    return [line.strip() for line in data.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()]
