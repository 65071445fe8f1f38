"""What holds for every input, whatever it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from ollama_policy.errors import UnreadableError
from ollama_policy.formats import Format, render
from ollama_policy.formats.writing import Look
from ollama_policy.model.result import Result
from ollama_policy.model.settings import Setting, SourceFile, Span, Subject
from ollama_policy.pipeline.check import Options, check
from ollama_policy.pipeline.fixing import fix
from ollama_policy.rules import RULES
from ollama_policy.sources import Registered
from tests.policies.fuzz.seeds import Tree
from tests.policies.sources.trees import Files

Signature = tuple[object, ...]


class BrokenError(Exception):
    """Something that must hold and does not."""


def read(source: Registered, tree: Tree) -> tuple[list[Subject], Signature] | None:
    """What a source says of a tree's first file, and what that is like: two inputs that are alike teach the same.

    None where the source does not take the file. Raises BrokenError, and whatever the source should not have raised.
    """
    files = [SourceFile(path, data) for path, data in tree.items()]
    file = files[0]
    try:
        if not source.source.accepts(file):
            return None
        subjects = list(source.source.read(file, Files(*files)))
    except UnreadableError as error:
        if not 0 <= error.offset <= len(file.data):
            raise BrokenError(f"refused at {error.offset} of {len(file.data)}: {error}") from error
        file.position(error.offset)
        return [], ("refused", re.sub(r"\d+|'.*'|\".*\"", "", str(error))[:60])
    except UnicodeDecodeError as error:
        if error.object != file.data[: len(error.object)]:
            raise BrokenError(f"not UTF-8 at {error.start} of a part of the file") from error
        return [], ("not UTF-8",)
    return subjects, tuple(sorted({mark for subject in subjects for mark in _marks(subject)})[:12])


def _marks(subject: Subject) -> Iterable[str]:
    check_subject(subject)
    yield f"{subject.kind}{subject.unknown is None}{subject.insertion is None}{len(subject.repeated)}"
    for setting in subject.settings.values():
        key = setting.key if setting.key.isascii() and len(setting.key) < 30 else "?"
        yield f"{key}:{type(setting.value).__name__}{setting.is_literal}{setting.file is subject.file}"


def check_subject(subject: Subject) -> None:
    check_span(subject.file, subject.span, subject.address)
    for setting in (*subject.settings.values(), *subject.repeated):
        if not isinstance(setting, Setting) or not isinstance(setting.key, str):
            raise BrokenError(f"no setting: {setting!r}")
        check_span(setting.file, setting.span, setting.key)
    if subject.insertion is not None:
        check_span(subject.file, Span(subject.insertion.at, subject.insertion.at), "the insertion")


def check_span(file: SourceFile, span: Span, what: str) -> None:
    data = file.data
    if not 0 <= span.start <= span.end <= len(data):
        raise BrokenError(f"{what}: {span} is not in the {len(data)} bytes of {file.path}")
    for offset in (span.start, span.end):
        if offset < len(data) and 0x80 <= data[offset] < 0xC0 and _is_utf8(data):
            raise BrokenError(f"{what}: {span} cuts a character of {file.path}")
        position = file.position(offset)
        is_in_mark = offset < 3 and data.startswith(b"\xef\xbb\xbf")
        if not is_in_mark and _is_utf8(data) and file.offset(position.line, position.column) != offset:
            raise BrokenError(f"{what}: {offset} of {file.path} is {position}, which is another place")
    file.line(file.position(span.start).line)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_pipeline(tree: Tree, *, with_unsafe: bool) -> None:
    """All rules, all formats, and fixes that are done after the first time. Raises BrokenError."""
    options = Options(RULES, overlay=tree)
    paths = [*tree]
    result = check(paths, options)
    check_result(result)
    fixed = fix(paths, options, with_unsafe=with_unsafe)
    if not fixed.after:
        return
    check_result(fixed.result)
    fixed.diff()
    again = fix(paths, Options(RULES, overlay=tree | fixed.after), with_unsafe=with_unsafe)
    if again.after:
        raise BrokenError(f"a second fix changes {[*again.after]}:\n{again.diff()}")
    new = {one.path for one in fixed.result.unreadable} - {one.path for one in result.unreadable}
    if new:
        raise BrokenError(f"a fix made {new} unreadable: {fixed.result.unreadable}\n{fixed.diff()}")


def check_result(result: Result) -> None:
    internal = [one.message for one in result.unreadable if one.is_internal]
    if internal:
        raise BrokenError("; ".join(internal))
    for reported in (*result.findings, *result.accepted):
        check_span(reported.finding.file, reported.finding.span, reported.finding.rule.id)
        for one in reported.finding.fixes:
            for edit in one.edits:
                check_span(edit.file, edit.span, f"a fix of {reported.finding.rule.id}")
    for form in Format:
        text = render(form, result, Look(is_verbose=True))
        text.encode()
        if form in (Format.JSON, Format.SARIF, Format.GITLAB):
            json.loads(text)
    render(Format.TEXT, result, Look(has_colour=True, has_links=True))
