"""Terraform's JSON syntax (`.tf.json`) as blocks, with the place of every value.

`{"resource": {"ollama_model": {"m": {"name": "llama3"}}}}` is `resource "ollama_model" "m" { name = "llama3" }`;
at each level a list of objects may stand for several. Fact: Terraform's "JSON Configuration Syntax".
"""

from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.syntax import json_spans
from ollama_policy.sources.terraform.language.blocks import Attribute, Block

LABELS: Final = {
    "resource": 2,
    "data": 2,
    "variable": 1,
    "module": 1,
    "provider": 1,
    "output": 1,
    "locals": 0,
    "terraform": 0,
}


def parse(file: SourceFile) -> list[Block]:
    """The top-level blocks of a file. Raises UnreadableError where it is not JSON."""
    root = json_spans.parse(file.data)
    found: list[Block] = []
    for key, value in root.members:
        if key.value in LABELS:
            found += _labelled(file, key.value, [], key, value, LABELS[key.value])
    return found


def _labelled(file: SourceFile, kind: str, labels: list[str], key: Any, node: Any, left: int) -> Iterator[Block]:
    for each in _objects(node):
        if left == 0:
            yield JsonBlock(file, kind, labels, key, each)
            continue
        for name, value in each.members:
            yield from _labelled(file, kind, [*labels, str(name.value)], name, value, left - 1)


def _objects(node: Any) -> list[Any]:
    return [each for each in (node.items or [node]) if isinstance(each.value, dict)]


class JsonBlock:
    """A block that is a JSON object; what names it is its key."""

    __slots__ = ("_node", "end", "file", "header_end", "kind", "labels", "start")
    is_json = True

    def __init__(self, file: SourceFile, kind: str, labels: list[str], key: Any, node: Any) -> None:
        self.file = file
        self.kind = kind
        self.labels = labels
        self.start, self.header_end, self.end = key.start, key.end, node.end
        self._node = node

    def attributes(self) -> list[Attribute]:
        return [
            Attribute(str(key.value), key.start, self.file, value.start, value.end, value, is_json=True)
            for key, value in self._node.members
            if key.value != "//"
        ]

    def blocks(self) -> list[Block]:
        return []

    def nested(self, kind: str) -> Iterator[Block]:
        for key, value in self._node.members:
            if key.value == kind:
                yield from (JsonBlock(self.file, kind, [], key, each) for each in _objects(value))
            elif key.value == "dynamic":
                for each in _objects(value):
                    yield from (
                        JsonBlock(self.file, "dynamic", [str(name.value)], name, body)
                        for name, bodies in each.members
                        for body in _objects(bodies)
                        if kind == "dynamic"
                    )
