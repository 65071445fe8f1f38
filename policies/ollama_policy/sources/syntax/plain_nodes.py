"""YAML, JSON and TOML in one shape, and the place at which a mapping takes one more key."""

import re
from collections.abc import Iterator
from typing import Final

from ollama_policy.model.settings import Insertion, SourceFile, Style, Unknown
from ollama_policy.sources.syntax import json_spans, toml_spans, yaml_documents
from ollama_policy.sources.syntax.json_spans import JsonNode
from ollama_policy.sources.syntax.yaml_nodes import Node

STYLES: Final = {"json": Style.JSON, "toml": Style.TOML, "yaml": Style.YAML, "yml": Style.YAML}
_MODES: Final = ("memory_management", "memoryManagement")
_ITEM: Final = re.compile(r" *(?:- +)*")  # what may stand before a mapping's first key
_COLON: Final = re.compile(rb"[ \t]*[:=][ \t]*")
_REST_OF_LINE: Final = re.compile(rb"[ \t]*+(?:#[^\r\n]*+)?(?=[\r\n]|\Z)")


def documents(file: SourceFile, style: Style) -> Iterator[JsonNode]:
    """The roots of a file. Raises UnreadableError."""
    if style is Style.JSON:
        yield json_spans.parse(file.data)
    elif style is Style.TOML:
        yield toml_spans.parse(file.data)
    else:
        yield from map(YamlNode, yaml_documents.documents(file.data))


class YamlNode(JsonNode):
    """YAML in the shape that JSON and TOML have; aliases and merge keys are followed, within yaml_nodes' bounds."""

    __slots__ = ("is_literal", "is_own")

    def __init__(self, node: Node) -> None:
        super().__init__(None, node.start, node.end)
        self.is_own = not node.is_shared
        self.is_literal = self.is_own and node.style not in ("|", ">") and self.start < self.end
        if node.is_mapping:
            self.members = [(YamlNode.key(key), YamlNode(value)) for key, value in node.members if key.is_scalar]
            self.value = {key.value: value.value for key, value in self.members}
        elif node.is_sequence:
            self.items = [YamlNode(item) for item in node.items]
            self.value = [item.value for item in self.items]
        elif node.has_own_tag:
            self.value = Unknown(f"{node.tag} is resolved by another tool")
        else:
            self.value = node.value

    @classmethod
    def key(cls, node: Node) -> "YamlNode":
        """A key, which is text whatever it looks like."""
        key = cls(node)
        key.value = node.text
        return key


def is_own(node: JsonNode) -> bool:
    """Whether it is written where it counts, and not where an alias or a merge key leads."""
    return not isinstance(node, YamlNode) or node.is_own


def insertion(node: JsonNode, data: bytes, style: Style) -> Insertion | None:
    """Where a property can be added: below the mode, else below another that takes one line, else above all."""
    opening = data[node.start : node.start + 1]
    colon = " = " if style is Style.TOML else ": "
    quote = '"' if style is Style.JSON else ""
    new_line = _new_line(data, node.end)
    pairs = sorted(node.members, key=lambda pair: (pair[0].value not in _MODES, pair[0].value != "name"))
    pairs = [pair for pair in pairs if _is_one_line(*pair, data)]
    if not pairs:
        if opening == b"{" and not data[node.start + 1 : node.end - 1].strip():
            return Insertion(node.start + 1, quote, quote + colon, "")
        if opening == b"[" and style is Style.TOML:
            return Insertion(_line_end(data, node.end), new_line, colon, "")
        return None
    key, value = pairs[0]
    before = data[data.rfind(b"\n", 0, key.start) + 1 : key.start].removeprefix(b"\xef\xbb\xbf").decode()
    if opening == b"{":
        between = data[key.end : value.start]
        colon = between.decode() if _COLON.fullmatch(between) else colon
        quote = data[key.start : key.start + 1].decode() if data[key.start : key.start + 1] in (b'"', b"'") else ""
        layout = " " if before.strip() or not before else new_line + before
        return Insertion(value.end, f",{layout}{quote}", quote + colon, "")
    if style is Style.YAML:
        if _ITEM.fullmatch(before) is None:
            return None
        before = before.replace("-", " ")
    rest = _REST_OF_LINE.match(data, value.end)
    return Insertion(rest.end(), new_line + before, colon, "") if rest is not None else None


def _line_end(data: bytes, at: int) -> int:
    rest = _REST_OF_LINE.match(data, at)
    return at if rest is None else rest.end()


def _is_one_line(key: JsonNode, value: JsonNode, data: bytes) -> bool:
    is_scalar = not isinstance(value.value, dict | list)
    return is_scalar and is_own(key) and is_own(value) and b"\n" not in data[key.start : value.end]


def _new_line(data: bytes, at: int) -> str:
    """The line ending in use at a place."""
    end = data.find(b"\n", at)
    if end < 0:
        end = data.rfind(b"\n")
    return "\r\n" if end > 0 and data[end - 1 : end] == b"\r" else "\n"
