"""The engines behind one face, so that a story is told once and played with each of them."""

from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeVar

from tests.engines.programs import program, steps
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.terraform_stack import TerraformStack, configuration

_TYPE = "ollama_model."
_REPLACES = {"create-replacement", "replace", "delete-replaced"}
Operations = dict[str, str]  # by the resource's label: "create", "update", "replace" or "delete"
Models = dict[str, Any]


class _Outcome(Protocol):
    @property
    def text(self) -> str: ...


_Said = TypeVar("_Said", bound=_Outcome)


class Driver(ABC):
    """One configuration or program, and its state. `said` is what the last command wrote."""

    said = ""

    def _noted(self, outcome: _Said) -> _Said:
        self.said = outcome.text
        return outcome

    @abstractmethod
    def declare(self, **models: Models) -> None:
        """What the next command finds declared, by label."""

    @abstractmethod
    def apply(self) -> Operations:
        """What was done."""

    @abstractmethod
    def refused(self) -> str:
        """The errors of an apply that has to fail."""

    @abstractmethod
    def refused_plan(self) -> str:
        """The errors of a plan that has to fail."""

    @abstractmethod
    def drifted(self) -> Operations:
        """What a refresh found to be otherwise, and wrote to the state."""

    @abstractmethod
    def plan(self) -> Operations:
        """What an apply would do, by what the server has now."""

    @abstractmethod
    def outputs(self, label: str) -> dict[str, Any]:
        """What the state has of a resource."""

    @abstractmethod
    def destroy(self) -> None:
        """All of it."""


class TerraformDriver(Driver):
    def __init__(self, stack: TerraformStack) -> None:
        self._stack = stack

    def declare(self, **models: Models) -> None:
        self._stack.configure(configuration(**models))

    def apply(self) -> Operations:
        return _by_label(self._noted(self._stack.apply()).applied)

    def refused(self) -> str:
        return self._errors(self._stack.apply(check=False).errors)

    def refused_plan(self) -> str:
        return self._errors(self._stack.plan(check=False).errors)

    def drifted(self) -> Operations:
        return _by_label(self._noted(self._stack.refresh()).drifted)

    def plan(self) -> Operations:
        return _by_label(self._noted(self._stack.plan()).planned)

    def outputs(self, label: str) -> dict[str, Any]:
        return self._stack.state()[f"{_TYPE}{label}"]

    def destroy(self) -> None:
        self._stack.destroy()

    @staticmethod
    def _errors(errors: list[Any]) -> str:
        assert errors
        return "\n".join(f"{error.summary}: {error.detail}" for error in errors)


class PulumiDriver(Driver):
    def __init__(self, stack: PulumiStack) -> None:
        self._stack = stack

    def declare(self, **models: Models) -> None:
        self._stack.set_program(program(**models))

    def apply(self) -> Operations:
        return _replacements_as_one(steps(self._noted(self._stack.up())))

    def refused(self) -> str:
        return self._error(self._stack.up(check=False))

    def refused_plan(self) -> str:
        return self._error(self._stack.preview(check=False))

    def drifted(self) -> Operations:
        return steps(self._noted(self._stack.refresh()))

    def plan(self) -> Operations:
        self._stack.refresh()  # a preview looks at no server
        return _replacements_as_one(steps(self._noted(self._stack.preview())))

    def outputs(self, label: str) -> dict[str, Any]:
        resources = self._stack.export()["deployment"]["resources"]
        [outputs] = [resource["outputs"] for resource in resources if resource["urn"].endswith(f"::{label}")]
        return dict(outputs)

    def destroy(self) -> None:
        self._stack.destroy()

    @staticmethod
    def _error(outcome: Any) -> str:
        assert outcome.returncode != 0
        assert "Traceback" not in outcome.text
        return str(outcome.text)


def _by_label(operations: dict[str, str]) -> Operations:
    return {address.removeprefix(_TYPE): operation for address, operation in operations.items()}


def _replacements_as_one(operations: Operations) -> Operations:
    return {label: "replace" if one in _REPLACES else one for label, one in operations.items()}
