"""Where an expression stands, and its value: at once where that is plainly written, else by the evaluator.

Most are plainly written, and the evaluator takes longer to import than a file of such to read.
"""

from typing import Any, NamedTuple, Protocol

from ollama_policy.sources.terraform.blocks import ABSENT, Expression


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
    is_final: bool = False  # values of a plan: JSON whose texts are no templates

    def having(self, **local: Any) -> "Scope":
        return self._replace(local={**self.local, **local})


def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value of an expression: plain Python values, Unknown wherever reading cannot tell."""
    found = expression.literal()
    if found is not ABSENT:
        return found
    from ollama_policy.sources.terraform.evaluator import work_out  # noqa: PLC0415 - see above

    return work_out(expression, scope)
