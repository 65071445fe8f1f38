"""Files of nothing but plainly written models, which many are: their blocks by pattern, in a fifth of a parser's time.

What the pattern takes is a small part of HCL where nothing can mean anything else: declarations of `ollama_model` laid
out as `terraform fmt` does it, with literal values. Any other file, by one byte, is left to the parser. A test compares
both.
"""

import re
from collections.abc import Iterator
from typing import Final

from ollama_policy.settings import SourceFile
from ollama_policy.sources.terraform.blocks import Attribute, Block

_RESERVED: Final = rb"(?!(?:for|if|in|else|endif|endfor|true|false|null)(?![\w-]))"
_NAME: Final = _RESERVED + rb"[A-Za-z_][\w-]*+"
_TEXT: Final = rb'"[^"\\$%\x00-\x1f\x7f]*+"'
_NUMBER: Final = rb"-?+(?:(?:0|[1-9][0-9]{0,14}+)\.[0-9]{1,15}+|(?:0|[1-9][0-9]{0,17}+))(?![\w.])"
_SCALAR: Final = rb"(?:" + _TEXT + rb"|" + _NUMBER + rb"|(?:true|false|null)(?![\w.-]))"
_ENTRY: Final = _NAME + rb"[ \t]*+=[ \t]*+" + _SCALAR + rb"[ \t]*+"
_OBJECT: Final = rb"\{[ \t\n]*+(?:" + _ENTRY + rb"(?:,|\n|(?=\}))[ \t\n]*+)*+\}"
_TUPLE: Final = rb"\[[ \t]*+(?:" + _SCALAR + rb"[ \t]*+(?:,|(?=\]))[ \t]*+)*+\]"
_VALUE: Final = rb"(?:" + _SCALAR + rb"|" + _OBJECT + rb"|" + _TUPLE + rb")"
_END: Final = rb"[ \t]*+(?:(?:#|//)[\t\x20-\x7e]*+)?+\n"
_HEAD: Final = rb'resource[ \t]++"ollama_model"[ \t]++"([A-Za-z_][\w-]*+)"'

_BLANK: Final = rb"(?:" + _END + rb")"
_ATTRIBUTE: Final = rb"[ \t]*+" + _NAME + rb"[ \t]*+=[ \t]*+" + _VALUE + _END
_INNER: Final = (
    rb"[ \t]*+" + _NAME + rb"[ \t]*+\{" + _END + rb"(?:" + _BLANK + rb"|" + _ATTRIBUTE + rb")*+[ \t]*+\}" + _END
)
_BLOCK: Final = (
    rb"[ \t]*+" + _HEAD.replace(b"(", b"(?:") + rb"[ \t]*+\{" + _END
    + rb"(?:" + _BLANK + rb"|" + _ATTRIBUTE + rb"|" + _INNER + rb")*+[ \t]*+\}(?:" + _END + rb"|\Z)"
)  # fmt: skip
_FILE: Final = re.compile(rb"(?:" + _BLANK + rb"|" + _BLOCK + rb")++")
# The parts of a file that the pattern has taken, a line each but for what stands in brackets.
_PART: Final = re.compile(
    rb"^[ \t]*+(?:"
    + _HEAD
    + rb"|(?P<name>"
    + _NAME
    + rb")[ \t]*+(?:=[ \t]*+(?P<value>"
    + _VALUE
    + rb")|\{)|(?P<end>\}))",
    re.MULTILINE,
)


def parse(file: SourceFile) -> list[Block] | None:
    """The blocks of a file of plain models; None for any other."""
    data = file.data
    if not data.isascii() or _FILE.fullmatch(data) is None:
        return None
    blocks: list[Block] = []
    outer: PlainBlock | None = None
    inner: PlainBlock | None = None
    at = 0
    while (part := _PART.search(data, at)) is not None:
        at = part.end()
        current = inner or outer
        if part["end"] is not None:
            assert current is not None
            current.end = at
            inner, outer = (None, outer) if inner is not None else (None, None)
        elif current is None:
            start = data.index(b"resource", part.start())
            outer = PlainBlock(file, "resource", ["ollama_model", part[1].decode()], start, at)
            blocks.append(outer)
        elif part["value"] is not None:
            start, end = part.span("value")
            name = part["name"].decode()
            current.parts.append(Attribute(name, part.start("name"), file, start, end, None))
        else:
            assert outer is not None
            inner = PlainBlock(file, part["name"].decode(), [], *part.span("name"))
            outer.inner.append(inner)
    return blocks


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
