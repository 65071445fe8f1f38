"""What a fix changes, as the lines that go and the lines that come."""

from typing import NamedTuple

from ollama_policy.rules.rule import Fix
from ollama_policy.settings import Edit, SourceFile, apply


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
    start = file.data.rfind(b"\n", 0, min(edit.span.start for edit in edits)) + 1
    end = file.data.find(b"\n", max(edit.span.end for edit in edits))
    end = len(file.data) if end < 0 else end + 1
    before = _lines(file.data[start:end])
    after = _lines(apply(edits, file.data)[start : end + sum(_growth(edit) for edit in edits)])
    while before and after and before[0] == after[0]:
        before, after = before[1:], after[1:]
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return Change(file, tuple(before), tuple(after))


def _growth(edit: Edit) -> int:
    return len(edit.text.encode()) - (edit.span.end - edit.span.start)


def _lines(data: bytes) -> list[str]:
    return [line.strip() for line in data.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()]
