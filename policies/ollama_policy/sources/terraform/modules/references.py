"""What a resource or a module is in an expression that refers to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language.blocks import Block
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.language.scope import Scope
from ollama_policy.sources.terraform.modules.expansion import is_multiple, key_text


class Module(Protocol):
    """An instance of a module, as far as references need it."""

    def scope(self) -> Scope: ...

    def expansion(self, block: Block) -> dict[str, Scope]: ...

    def once(self, address: str, name: str, work_out: Callable[[str], Any]) -> Any: ...

    def output(self, block: Block, address: str, name: str, scope: Scope | None) -> Any:
        """What a module that is called by a block says of itself."""


class _Reference(ABC):
    """What an expression names by a block; `scope` is that of one instance, None for all of them together."""

    def __init__(self, names: Module, block: Block, key: str = "", scope: Scope | None = None) -> None:
        self._names = names
        self._block = block
        self._key = key
        self._scope = scope

    @property
    @abstractmethod
    def _address(self) -> str: ...

    @abstractmethod
    def attribute(self, name: str) -> Any: ...

    def instance(self, key: Any) -> Any:
        if not isinstance(key, str | int):
            return Unknown(f"an instance of {self._address} by a key that is not text or number")
        suffix = f"[{key_text(key)}]"
        scope = self._names.expansion(self._block).get(suffix)
        if scope is not None:
            return type(self)(self._names, self._block, suffix, scope)
        return Unknown(f"{self._address}[{key_text(key)}] is not known")


class ResourceReference(_Reference):
    """A resource that an expression names; what its block says is known, the rest only at apply."""

    @property
    def _address(self) -> str:
        return ".".join(self._block.labels)

    def attribute(self, name: str) -> Any:
        parts = {each.name: each for each in self._block.attributes()}
        if self._scope is None and ("count" in parts or "for_each" in parts):
            return Unknown(f"{self._address} has several instances")
        if name not in parts or name in ("count", "for_each"):
            return Unknown(f"{self._address}.{name} is only known at apply")
        scope = self._scope or self._names.scope()
        return self._names.once(f"{self._address}{self._key}", name, lambda _: evaluate(parts[name], scope))


class ModuleReference(_Reference):
    """A `module` block that an expression names; of a local module, what its outputs say is known."""

    @property
    def _address(self) -> str:
        return f"module.{self._block.labels[0]}{self._key}"

    def attribute(self, name: str) -> Any:
        if self._scope is None and is_multiple(self._block):
            return Unknown(f"{self._address} has several instances")
        return self._names.once(
            self._address, name, lambda output: self._names.output(self._block, self._address, output, self._scope)
        )
