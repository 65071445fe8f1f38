"""Files of nothing but plainly written models, which many are: their blocks by pattern, in a fifth of a parser's time.

What the pattern takes is a small part of HCL where nothing can mean anything else: declarations of `ollama_model` laid
out as `terraform fmt` does it, with literal values. Any other file, by one byte, is left to the parser. A test compares
both.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.terraform.language.blocks import Attribute, Block, literal

_RESERVED: Final = r"(?!(?:for|if|in|else|endif|endfor|true|false|null)(?![\w-]))"
_NAME: Final = _RESERVED + r"[A-Za-z_][\w-]*+"
_TEXT: Final = r'"[^"\\$%\x00-\x1f\x7f]*+"'
_NUMBER: Final = r"-?+(?:(?:0|[1-9][0-9]{0,14}+)\.[0-9]{1,15}+|(?:0|[1-9][0-9]{0,17}+))(?![\w.])"
_SCALAR: Final = rf"(?:{_TEXT}|{_NUMBER}|(?:true|false|null)(?![\w.-]))"
_ENTRY: Final = rf"{_NAME}[ \t]*+=[ \t]*+{_SCALAR}[ \t]*+"
_OBJECT: Final = rf"\{{[ \t\n]*+(?:{_ENTRY}(?:,|\n|(?=\}}))[ \t\n]*+)*+\}}"
_TUPLE: Final = rf"\[[ \t]*+(?:{_SCALAR}[ \t]*+(?:,|(?=\]))[ \t]*+)*+\]"
_END: Final = r"[ \t]*+(?:(?:#|//)[\t\x20-\x7e]*+)?+\n"
_BLANKS: Final = re.compile(rf"(?:{_END})*+")
# A block's head, an attribute, the head of a block in it, or an end, each with the blank lines after it; or neither.
_PART: Final = re.compile(
    r"[ \t]*+(?:"
    r'(?P<head>resource[ \t]++"ollama_model"[ \t]++"(?P<label>[A-Za-z_][\w-]*+)")[ \t]*+\{'
    rf"|(?P<name>{_NAME})[ \t]*+(?:=[ \t]*+(?P<value>{_SCALAR}|{_OBJECT}|{_TUPLE})|(?P<inner>\{{))"
    rf"|(?P<end>\}}))(?:(?:{_END})++|\Z)|(?P<other>[\s\S])"
)


def parse(file: SourceFile) -> list[Block] | None:
    """The blocks of a file of plain models; None for any other."""
    data = file.data
    if not data.isascii():
        return None
    text = data.decode("ascii")
    blocks: list[Block] = []
    outer: PlainBlock | None = None
    inner: PlainBlock | None = None
    for part in _PART.finditer(text, _BLANKS.match(text).end()):  # type: ignore[union-attr]
        kind = part.lastgroup
        current = inner or outer
        if kind == "value":
            if current is None:
                return None
            start, end = part.span("value")
            value = text[start + 1 : end - 1] if text[start] == '"' else literal(data, start, end)
            current.parts.append(PlainAttribute(file, part["name"], part.start("name"), start, end, value))
        elif kind == "end":
            if current is None:
                return None
            current.end = part.end("end")
            inner, outer = None, outer if inner is not None else None
        elif kind == "head":
            if current is not None:
                return None
            outer = PlainBlock(file, "resource", ["ollama_model", part["label"]], *part.span("head"))
            blocks.append(outer)
        elif kind == "inner":
            if outer is None or inner is not None:
                return None
            inner = PlainBlock(file, part["name"], [], *part.span("name"))
            outer.inner.append(inner)
        else:
            return None
    return blocks if outer is None else None


class PlainAttribute(Attribute):
    """An attribute whose value is known, and that has no node."""

    __slots__ = ("_value",)

    def __init__(self, file: SourceFile, name: str, name_start: int, start: int, end: int, value: Any) -> None:
        self.file = file
        self.name = name
        self.name_start = name_start
        self.start = start
        self.end = end
        self.node = None
        self.is_json = False
        self._value = value

    def literal(self) -> Any:
        return self._value


class PlainBlock:
    """A block whose attributes are literals: nobody needs the nodes of a tree, and there are none."""

    __slots__ = ("end", "file", "header_end", "inner", "kind", "labels", "parts", "start")
    is_json = False

    def __init__(self, file: SourceFile, kind: str, labels: list[str], start: int, header_end: int) -> None:
        self.file = file
        self.kind = kind
        self.labels = labels
        self.start = start
        self.header_end = header_end
        self.end = header_end
        self.parts: list[Attribute] = []
        self.inner: list[Block] = []

    def attributes(self) -> list[Attribute]:
        return self.parts

    def blocks(self) -> list[Block]:
        return self.inner

    def nested(self, kind: str) -> Iterator[Block]:
        return (block for block in self.inner if block.kind == kind)
