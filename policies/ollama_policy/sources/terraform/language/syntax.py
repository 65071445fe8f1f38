"""HCL's syntax by tree-sitter: text in, blocks out, or the place where it does not parse."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.terraform.language.blocks import Attribute, Block, Expression, of_type

_MARK: Final = b"\xef\xbb\xbf"
# The grammar does not know an exponent on a whole number (`5e1`, `5e-1`).
_EXPONENT: Final = re.compile(rb"(?<![\w.])([0-9]+)([eE][-+]?)(?=[0-9])")
_NAME: Final = re.compile(rb"([A-Za-z_][\w-]*)[ \t]*=[ \t]*")
_SAID: Final = {
    "block_end": "`}`",
    "object_end": "`}`",
    "tuple_end": "`]`",
    "template_interpolation_end": "`}`",
    "template_directive_end": "`}`",
    "quoted_template_end": '`"`',
    "heredoc_identifier": "the end of the here-document",
    "identifier": "a name",
    "expression": "a value",
}
_ANYTHING: Final = "an attribute (`name = value`), a block or its end"
_OPEN: Final = frozenset("= + - * / % ! == != < <= > >= && || ? : , ( [".split())


@cache
def _parser() -> Any:
    import tree_sitter  # noqa: PLC0415 - only where HCL is read
    import tree_sitter_hcl  # noqa: PLC0415

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_hcl.language()))


def _tree(data: bytes) -> Any:
    if data.startswith(_MARK):
        data = b"   " + data[3:]
    tree = _parser().parse(data)
    if tree.root_node.has_error and _EXPONENT.search(data):
        # The same length, so that all places stay; the evaluator reads the numbers from the file itself.
        tree = _parser().parse(_EXPONENT.sub(lambda found: found[1] + b"0" * len(found[2]), data))
    return tree


def parse(file: SourceFile) -> list[Block]:
    """The top-level blocks of a file. Raises UnreadableError at the first place that is not HCL."""
    root = _body(file)
    return [HclBlock(file, node) for node in root.children if node.type == "block"] if root else []


def assignments(file: SourceFile) -> list[Attribute]:
    """The top-level attributes of a file, as in `terraform.tfvars`. Raises UnreadableError as `parse`."""
    root = _body(file)
    return [_attribute(file, node) for node in of_type(root, "attribute")] if root else []


def template(text: str) -> Expression | None:
    """A text of Terraform's JSON syntax as the template that it is; None where it does not parse."""
    mark = "E"
    while mark in text:
        mark += "E"
    file = SourceFile("", f"x = <<{mark}\n{text}\n{mark}\n".encode("utf-8", "replace"))
    return _only_value(file)


def expression(text: str) -> Expression | None:
    """A text as an expression, such as a variable's type in Terraform's JSON; None where it does not parse."""
    return _only_value(SourceFile("", f"x = {text}\n".encode("utf-8", "replace")))


def _only_value(file: SourceFile) -> Expression | None:
    try:
        found = assignments(file)
    except UnreadableError:
        return None
    return found[0] if len(found) == 1 else None


def _body(file: SourceFile) -> Any:
    data = file.data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
    if (at := data.find(b"\0")) >= 0:
        raise UnreadableError(at, "a NUL byte", "text")
    root = _tree(data).root_node
    if root.has_error:
        raise _error(root, data)
    for child in root.children:
        if child.type == "body":
            return child
    return None


def _error(root: Any, data: bytes) -> UnreadableError:
    """The first place that the parser could not go on from, with what it waited for."""
    node = root
    while not node.is_missing:
        bad = next((child for child in node.children if child.has_error or child.is_missing or child.is_error), None)
        if bad is None or node.is_error:
            at, expected = _trouble([child for child in node.children if child.start_byte < child.end_byte], node, data)
            break
        node = bad
    else:
        at, expected = node.start_byte, _SAID.get(node.type, f"`{node.type}`")
    return UnreadableError(at, _found(data, at), expected)


def _trouble(parts: list[Any], node: Any, data: bytes) -> tuple[int, str]:
    """Where in what did not fit together the trouble is, and what was expected there."""
    if not parts:
        return node.start_byte, _ANYTHING
    last, before = parts[-1], parts[-2] if len(parts) > 1 else None
    if last.type in _OPEN:
        return _after_space(data, last.end_byte), "a value"
    if last.type == "quoted_template_start":
        return last.start_byte, "a text that ends on its line"
    if before is None:
        return last.start_byte, _ANYTHING
    if (
        last.type == "identifier"
        and before.type == "attribute"
        and b"\n" not in data[before.end_byte : last.start_byte]
    ):
        return last.start_byte, "the end of the line"
    if last.type in ("identifier", "string_lit", "}"):
        return _after_space(data, (before if last.type == "}" else last).end_byte), "`=` or a block"
    return last.start_byte, _ANYTHING


def _after_space(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in b" \t":
        at += 1
    return at


def _found(data: bytes, at: int) -> str:
    rest = data[at : at + 60].decode("utf-8", "replace").split("\n")[0].strip()
    if rest:
        word = re.match(r"\w[\w.-]*|.", rest)
        return f"`{word[0] if word else rest}`"
    return "the end of the file" if not data[at:].strip() else "the end of the line"


def _attribute(file: SourceFile, node: Any) -> Attribute:
    start, end = node.start_byte, node.end_byte
    named = _NAME.match(file.data, start)
    if named is not None and (at := named.end()) < end and file.data[at] not in b"#/\r\n":
        return Attribute(named[1].decode(), start, file, at, end, node)
    value = of_type(node, "expression")[-1]
    return Attribute(node.children[0].text.decode("utf-8", "replace"), start, file, value.start_byte, end, node)


class HclBlock:
    """A block of HCL. Its parts are read when they are asked for."""

    __slots__ = ("_attributes", "_blocks", "_body", "end", "file", "header_end", "kind", "labels", "start")
    is_json = False

    def __init__(self, file: SourceFile, node: Any) -> None:
        self.file = file
        self.start, self.end = node.start_byte, node.end_byte
        self.labels: list[str] = []
        self.kind, self._body = "", None
        self.header_end = self.start
        for child in node.children:
            kind = child.type
            if kind in ("identifier", "string_lit"):
                text = file.data[child.start_byte : child.end_byte].decode("utf-8", "replace").strip('"')
                self.header_end = child.end_byte
                if self.kind:
                    self.labels.append(text)
                else:
                    self.kind = text
            elif kind == "body":
                self._body = child
        self._attributes: list[Attribute] | None = None
        self._blocks: list[Block] = []

    def attributes(self) -> list[Attribute]:
        if self._attributes is None:
            self._attributes = []
            for node in self._body.children if self._body is not None else ():
                kind = node.type
                if kind == "attribute":
                    self._attributes.append(_attribute(self.file, node))
                elif kind == "block":
                    self._blocks.append(HclBlock(self.file, node))
        return self._attributes

    def node_at(self, offset: int) -> Any:
        """The smallest node of its body at a byte; None where it has none there."""
        return None if self._body is None else self._body.descendant_for_byte_range(offset, offset + 1)

    def blocks(self) -> list[Block]:
        self.attributes()
        return self._blocks

    def nested(self, kind: str) -> Iterator[Block]:
        return (block for block in self.blocks() if block.kind == kind)
