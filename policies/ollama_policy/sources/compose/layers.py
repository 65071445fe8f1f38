"""A compose service as the files that are laid over one another say it."""

from dataclasses import dataclass, field

from ollama_policy.model.settings import (
    SourceFile,
    Unknown,
)
from ollama_policy.sources.common.containers import command_text
from ollama_policy.sources.compose.interpolation import Lookup
from ollama_policy.sources.syntax.yaml_nodes import Node


@dataclass(frozen=True, slots=True)
class Layer:
    """A service as one file has it. Later layers win. `origin` is empty for the service's own."""

    service: Node
    file: SourceFile
    origin: str = ""
    is_shared: bool = False  # others may build on it too
    lookup: Lookup | None = None  # where it is included, with an environment of its own


@dataclass(slots=True)
class Stack:
    """All layers of a service, the lowest first, and why there may be more."""

    layers: list[Layer] = field(default_factory=list)
    unknown: Unknown | None = None

    def last(self, *path: str) -> tuple[Node, Layer] | None:
        """The value that counts down a path."""
        for layer in reversed(self.layers):
            node = layer.service.at(*path)
            if node is not None and not node.is_null:
                return node, layer
        return None

    def texts(self, key: str) -> str | None:
        found = self.last(key)
        return None if found is None else command_text(found[0])
