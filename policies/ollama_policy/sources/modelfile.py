"""Modelfiles: what a model brings along for every request, told by FROM and PARAMETER (docs/modelfile.md of Ollama)."""

import re
from collections.abc import Iterator
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import ENDPOINT, Insertion, Kind, Setting, SourceFile, Style, Subject
from ollama_policy.sources.common.environment import value_of
from ollama_policy.sources.common.file_names import ABOUT
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax.placed_text import PlacedText

_NAME: Final = re.compile(r"(?:.*[._-])?modelfile(?:[._-].*)?")
_LINE: Final = re.compile(rb"[ \t]*([A-Za-z]+)[ \t]+([^\n]*)")
_PARAMETER: Final = re.compile(rb"([A-Za-z_]+)[ \t]+(.+)")
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_FRACTION: Final = re.compile(r"-?[0-9]{0,18}\.[0-9]{1,18}")


class Modelfile:
    """A model's parameters, as the options of a request."""

    name = "modelfile"

    def accepts(self, file: SourceFile) -> bool:
        name = file.path.rpartition("/")[2].lower()
        if name.endswith(ABOUT):
            return False
        return _NAME.fullmatch(name) is not None and re.search(rb"^\s*from\s", file.data, re.I | re.M) is not None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        try:
            file.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
        yield from read_modelfile(file.data, file, 0, file.path.rpartition("/")[2])


def read_modelfile(data: bytes, file: SourceFile, base_offset: int, address: str) -> Iterator[Subject]:
    """The request-like subject of a Modelfile's text that stands in the file at an offset; never raises."""
    subject: Subject | None = None
    text = PlacedText.at(data, base_offset)
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        line = _LINE.match(data, at, end)
        if line is None:
            at = end + 1
            continue
        keyword, value = line[1].upper(), text.cut(*line.span(2)).stripped()
        if keyword == b"FROM":
            # As `ollama create` has it, the last FROM counts; a model has one.
            span = text.cut(*line.span(1)).span
            if subject is None:
                subject = Subject(Kind.REQUEST, address, file, span, Style.BARE)
                subject.add(Setting(ENDPOINT, "Modelfile", span, file, is_literal=False))
            subject.add(value_of("model", value, value.span, file, "", None))
            newline = "\r\n" if data[:end].endswith(b"\r") else "\n"
            subject.insertion = Insertion(value.span.end, f"{newline}PARAMETER ", " ", "")
        elif keyword == b"PARAMETER" and subject is not None:
            parameter = _PARAMETER.match(value.data)
            if parameter is not None:
                written = value.cut(*parameter.span(2)).stripped()
                key = f"options.{parameter[1].decode('ascii').lower()}"
                setting = value_of(key, _unquoted(written), written.span, file, "", None)
                setting.value = _typed(setting.value)
                subject.add(setting)
        # A value in three quotes goes on to where they close.
        at = end + 1
        opened = data.find(b'"""', line.start(2), end)
        if opened >= 0:
            close = data.find(b'"""', opened + 3)
            at = len(data) if close < 0 else close + 3
            if data.find(b'"""', opened + 3, end) >= 0:
                at = end + 1
    if subject is not None:
        yield subject


def _unquoted(text: PlacedText) -> PlacedText:
    is_quoted = len(text.data) > 1 and text.data[:1] == text.data[-1:] == b'"'
    return text.cut(1, len(text.data) - 1) if is_quoted else text


def _typed(value: object) -> object:
    """A number or a truth where the text is one: the API gets them so."""
    if not isinstance(value, str):
        return value
    if _WHOLE.fullmatch(value):
        return int(value)
    if _FRACTION.fullmatch(value):
        return float(value)
    return {"true": True, "false": False}.get(value, value)
