"""Values files that lie over one another, looked up as one."""

from typing import NamedTuple

from ollama_policy.model.settings import (
    SourceFile,
)
from ollama_policy.sources.syntax.yaml_nodes import Node


class Layers(NamedTuple):
    """The values at a path: a file's own, and then those that it is laid over, the nearest first."""

    nodes: tuple[tuple[Node, SourceFile], ...]

    @property
    def own(self) -> "Layers":
        return Layers(self.nodes[:1])

    @property
    def below(self) -> "Layers":
        return Layers(self.nodes[1:])

    @property
    def node(self) -> Node:
        """The uppermost, which is all there is unless it is a mapping."""
        return self.nodes[0][0]

    @property
    def file(self) -> SourceFile:
        return self.nodes[0][1]

    def get(self, key: str) -> "Layers | None":
        found: list[tuple[Node, SourceFile]] = []
        for node, file in self.nodes:
            inner = node.get(key)
            if inner is None:
                continue
            if inner.is_null or (found and not inner.is_mapping):
                break
            found.append((inner, file))
            if not inner.is_mapping:
                break
        return Layers(tuple(found)) if found else None

    def text_at(self, key: str) -> str:
        found = self.get(key)
        return "" if found is None else found.node.text
