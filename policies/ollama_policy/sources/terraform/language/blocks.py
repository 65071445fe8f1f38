"""Terraform's blocks and expressions with their places, whichever of the two syntaxes they were written in."""

import re
from collections.abc import Iterator
from typing import Any, Final, Protocol

from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.terraform.language.values import plain_number

ABSENT: Final = object()
_PLAIN: Final = re.compile(rb'"([^"\\$%\r\n]*)"')
_WHOLE: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_WORDS: Final = {b"true": True, b"false": False, b"null": None}
# An object or a list of nothing but such values: a tenth of the time that its nodes take.
_NUMBER: Final = rb"-?+(?:(?:0|[1-9][0-9]{0,14}+)\.[0-9]{1,15}+|(?:0|[1-9][0-9]{0,17}+))(?![\w.])"
_SIMPLE: Final = rb'(?:"[^"\\$%\r\n]*+"|' + _NUMBER + rb"|(?:true|false|null)(?![\w.-]))"
_NAME: Final = rb'(?:[A-Za-z_][\w-]*+|"[^"\\$%\r\n]*+")'
_ENTRY: Final = rb"(" + _NAME + rb")[ \t]*+[=:][ \t]*+(" + _SIMPLE + rb")"
_OBJECT: Final = re.compile(
    rb"\{\s*+(?:"
    + _ENTRY.replace(b"(" + _NAME, b"(?:" + _NAME).replace(b"(" + _SIMPLE, b"(?:" + _SIMPLE)
    + rb"[ \t]*+(?:,|\r?\n|(?=\}))\s*+)*+\}"
)
_TUPLE: Final = re.compile(rb"\[\s*+(?:" + _SIMPLE + rb"\s*+(?:,|(?=\]))\s*+)*+\]")
_ENTRIES: Final = re.compile(_ENTRY)
_ELEMENTS: Final = re.compile(_SIMPLE)


def literal(data: bytes, start: int, end: int) -> Any:
    """The value of the simplest expressions by their text alone, which most are; else ABSENT."""
    first = data[start]
    if first == 0x22:
        plain = _PLAIN.fullmatch(data, start, end)
        return ABSENT if plain is None else plain[1].decode("utf-8", "replace")
    if first in b"-0123456789":
        if _WHOLE.fullmatch(data, start, end):
            return int(data[start:end])
        return plain_number(float(data[start:end])) if _DECIMAL.fullmatch(data, start, end) else ABSENT
    if first == 0x7B and _OBJECT.fullmatch(data, start, end):
        found = {}
        for name, value in _ENTRIES.findall(data, start, end):
            found[name.strip(b'"').decode("utf-8", "replace")] = literal(value, 0, len(value))
        return found
    if first == 0x5B and _TUPLE.fullmatch(data, start, end):
        return [literal(value, 0, len(value)) for value in _ELEMENTS.findall(data, start, end)]
    return _WORDS.get(data[start:end], ABSENT) if end - start <= 5 else ABSENT


class Expression:
    """A value as written: a tree-sitter `node` of HCL, or a `node` of JSON whose texts are templates."""

    __slots__ = ("end", "file", "is_json", "node", "start")

    def __init__(self, file: SourceFile, start: int, end: int, node: Any, *, is_json: bool = False) -> None:
        self.file = file
        self.start = start
        self.end = end
        self.node = node
        self.is_json = is_json

    @property
    def text(self) -> str:
        return self.file.data[self.start : self.end].decode("utf-8", "replace")

    @property
    def tree(self) -> Any:
        """The `expression` node of HCL."""
        return of_type(self.node, "expression")[-1] if self.node.type == "attribute" else self.node

    def literal(self) -> Any:
        """The value, where it is plainly written; else ABSENT."""
        if not self.is_json:
            return literal(self.file.data, self.start, self.end)
        value = self.node.value
        if isinstance(value, list | dict) or (isinstance(value, str) and ("${" in value or "%{" in value)):
            return ABSENT
        return value

    def items(self) -> "list[Expression] | None":
        """The elements of a list that is written out; None for anything else."""
        if self.is_json:
            is_list = isinstance(self.node.value, list)
            return [_of_json(self.file, item) for item in self.node.items] if is_list else None
        box = collection(self.tree, "tuple")
        return None if box is None else [_of_node(self.file, item) for item in of_type(box, "expression")]

    def members(self) -> "list[tuple[Expression, Expression]] | None":
        """The keys and values of an object that is written out; None for anything else."""
        if self.is_json:
            if not isinstance(self.node.value, dict):
                return None
            return [(_of_json(self.file, key), _of_json(self.file, value)) for key, value in self.node.members]
        box = collection(self.tree, "object")
        if box is None:
            return None
        pairs = []
        for element in of_type(box, "object_elem"):
            key, value = of_type(element, "expression")
            pairs.append((_of_node(self.file, key), _of_node(self.file, value)))
        return pairs

    def call(self, name: str) -> "Expression | None":
        """The one argument of a call of that function: `jsonencode([...])`; None for anything else."""
        if self.is_json:
            return None
        inner = only_child(self.tree)
        if inner is None or inner.type != "function_call" or inner.children[0].text != name.encode():
            return None
        arguments = [each for box in of_type(inner, "function_arguments") for each in of_type(box, "expression")]
        return _of_node(self.file, arguments[0]) if len(arguments) == 1 else None


class Attribute(Expression):
    """A named expression; `name_start` is where its line of text begins to be its own."""

    __slots__ = ("name", "name_start")

    def __init__(
        self, name: str, name_start: int, file: SourceFile, start: int, end: int, node: Any, *, is_json: bool = False
    ) -> None:
        super().__init__(file, start, end, node, is_json=is_json)
        self.name = name
        self.name_start = name_start


class Block(Protocol):
    """A block: `resource "ollama_model" "m" { ... }`. `header_end` is where what names it ends."""

    kind: str
    labels: list[str]
    file: SourceFile
    start: int
    header_end: int
    end: int
    is_json: bool

    def attributes(self) -> list[Attribute]:
        """Its attributes in the order of the text, repeated ones included."""

    def blocks(self) -> "list[Block]":
        """The blocks in it. In JSON an object or a list of objects may be either: ask `nested`."""

    def nested(self, kind: str) -> "Iterator[Block]":
        """The blocks of a kind in it."""


def attribute(block: Block, name: str) -> Attribute | None:
    """The attribute of that name; the last one where it is repeated."""
    found = None
    for each in block.attributes():
        if each.name == name:
            found = each
    return found


def of_type(node: Any, kind: str) -> list[Any]:
    return [child for child in node.children if child.type == kind]


def only_child(node: Any) -> Any:
    """What an `expression` node holds, where that is one thing (comments aside)."""
    children = [child for child in node.children if child.type != "comment"]
    return children[0] if len(children) == 1 else None


def collection(node: Any, kind: str) -> Any:
    inner = only_child(node)
    if inner is None or inner.type != "collection_value":
        return None
    inner = only_child(inner)
    return inner if inner is not None and inner.type == kind else None


def _of_node(file: SourceFile, node: Any) -> Expression:
    return Expression(file, node.start_byte, node.end_byte, node)


def _of_json(file: SourceFile, node: Any) -> Expression:
    return Expression(file, node.start, node.end, node, is_json=True)
