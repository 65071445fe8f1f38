"""What a provider is to Terraform. Resources, data sources and functions are these; the service does the rest."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.values import Type

Values = dict[str, Any]
Path = tuple[str | int, ...]
# Kept by Terraform beside a state, for the provider alone: what JSON can hold.
Private = dict[str, Any]


@dataclass(frozen=True)
class Diagnostic:
    """What Terraform shows: one line, the explanation, and the attribute that it is about."""

    summary: str
    detail: str = ""
    path: Path = ()
    is_warning: bool = False


class DiagnosticsError(Exception):
    """Ends an operation with what the user is to be told."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(diagnostic.summary for diagnostic in diagnostics))
        self.diagnostics = diagnostics


@dataclass(frozen=True)
class Plan:
    """What a change will do: the state after it, UNKNOWN where it is not known before, and what forces a new object.

    Of a destroy the state is None; what is private to it is what `delete` gets.
    """

    state: Values | None
    replaces: Sequence[Path] = ()
    private: Private = field(default_factory=dict)
    diagnostics: Sequence[Diagnostic] = ()


@dataclass(frozen=True)
class Result:
    """What an operation left: the state, None where the object is gone; an error among the diagnostics taints it."""

    state: Values | None
    private: Private = field(default_factory=dict)
    diagnostics: Sequence[Diagnostic] = ()


class Resource(ABC):
    """A type of managed objects. A state has each attribute of the schema; every failure is a DiagnosticsError."""

    name: str
    schema: Schema

    @abstractmethod
    def validate(self, config: Values) -> Sequence[Diagnostic]:
        """What is wrong with a configuration, in which some values may be UNKNOWN. Asks no server."""

    @abstractmethod
    async def plan(self, prior: Values | None, config: Values, private: Private) -> Plan:
        """The change from a prior state, None for a new object, to what is configured."""

    async def plan_destroy(self, prior: Values, private: Private) -> Plan:
        """What a destroy will do. An object that is replaced is not asked for."""
        return Plan(None)

    @abstractmethod
    async def create(self, planned: Values, config: Values) -> Result: ...

    @abstractmethod
    async def update(self, prior: Values, planned: Values, config: Values, private: Private) -> Result: ...

    @abstractmethod
    async def delete(self, prior: Values, private: Private) -> Sequence[Diagnostic]:
        """Gives warnings. `private` is the planned one: the destroy's, or that of the object that takes its place."""

    @abstractmethod
    async def read(self, state: Values, private: Private) -> Result: ...

    @abstractmethod
    async def adopt(self, import_id: str) -> Values:
        """The state of an object that exists, for an import."""

    def upgrade(self, version: int, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state in the JSON of an older version, in the JSON of this one."""
        return state

    def take_over(self, source_type: str, state: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Another type's state in JSON as one of this type, for a `moved` block; None where it cannot be."""
        return None


class DataSource(ABC):
    """A type of things that are only read."""

    name: str
    schema: Schema

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        return ()

    @abstractmethod
    async def read(self, config: Values) -> Values: ...


@dataclass(frozen=True)
class Parameter:
    name: str
    type: Type
    description: str
    allows_null: bool = False


class FunctionArgumentError(Exception):
    """An argument that a function cannot take: which, from 0, and why."""

    def __init__(self, argument: int, text: str) -> None:
        super().__init__(text)
        self.argument = argument


class Function(ABC):
    """A pure function of its arguments."""

    name: str
    summary: str
    description: str
    parameters: Sequence[Parameter]
    returns: Type

    @abstractmethod
    def call(self, *arguments: Any) -> Any:
        """Raises FunctionArgumentError."""


class Provider(ABC):
    """All that one plugin offers."""

    schema: Schema
    resources: Sequence[Resource]
    data_sources: Sequence[DataSource]
    functions: Sequence[Function]

    @abstractmethod
    def validate(self, config: Values) -> Sequence[Diagnostic]: ...

    @abstractmethod
    def configure(self, config: Values) -> None:
        """Takes the configuration for all that follows. Raises DiagnosticsError. UNKNOWN values are possible."""

    @abstractmethod
    async def close(self) -> None: ...
