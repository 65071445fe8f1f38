"""What a source says of a text, in a shape that a table can hold."""

from typing import Any

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Subject, apply, insert
from ollama_policy.sources.common.source import Source
from tests.policies.sources.trees import Files, file

UNKNOWN = "(unknown)"
Facts = dict[str, tuple[Any, str]]


def read(source: Source, path: str, text: str | bytes, **others: str | bytes) -> list[Subject]:
    """The subjects of one file; `others` are by path, with `__` for `/`."""
    contents = {name.replace("__", "/").replace("_DOT_", "."): content for name, content in others.items()}
    files = [file(name, content) for name, content in {**contents, path: text}.items()]
    return list(source.read(files[-1], Files(*files))) if source.accepts(files[-1]) else []


def facts(subject: Subject) -> Facts:
    """By key: the value, and what stands at its place in its file."""
    return {
        setting.key: (setting.value if setting.is_known else UNKNOWN, setting.written)
        for setting in subject.settings.values()
    }


def only(subjects: list[Subject]) -> Subject:
    assert len(subjects) == 1
    return subjects[0]


def inserted(subject: Subject, key: str = "OLLAMA_NEW", value: str = "1") -> str:
    """The file's text with one more setting."""
    edit = insert(subject, key, value)
    assert edit is not None
    return apply([edit], edit.file.data).decode()


def at(subject: Subject) -> str:
    """What stands at the subject's own place."""
    return subject.file.data[subject.span.start : subject.span.end].decode()


def refused_at(source: Source, path: str, text: str | bytes) -> int:
    """The offset at which a text is refused."""
    try:
        read(source, path, text)
    except UnreadableError as error:
        return error.offset
    raise AssertionError("it was read")
