"""Where an expression stands: its module, and the names that its block has."""

from typing import Any, NamedTuple, Protocol


class Names(Protocol):
    """What a module gives to the expressions in it."""

    def variable(self, name: str) -> Any:
        """`var.name`."""

    def local(self, name: str) -> Any:
        """`local.name`."""

    def resource(self, kind: str, name: str) -> Any:
        """`kind.name`: a Reference, or Unknown."""

    def module(self, name: str) -> Any:
        """`module.name`: a Reference whose attributes are the outputs, or Unknown."""


class Reference(Protocol):
    """A resource or a module that an expression names: its parts are looked up when they are asked for."""

    def attribute(self, name: str) -> Any: ...

    def instance(self, key: Any) -> Any: ...


class Work:
    """How much was done, against expressions that would never end; shared by all scopes of a file."""

    __slots__ = ("depth", "items", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.items = 0  # that functions looked through
        self.depth = 0


class Scope(NamedTuple):
    """Where an expression stands: its module, and the names that only its block has (each, count, iterators)."""

    names: Names
    local: dict[str, Any]
    work: Work
    is_final: bool = False  # values of a plan: JSON whose texts are not templates

    def having(self, **local: Any) -> "Scope":
        return self._replace(local={**self.local, **local})
