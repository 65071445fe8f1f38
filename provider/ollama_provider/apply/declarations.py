"""What one run of an engine declares together: a model in one resource, and one resident on a weights file. Pure."""

from dataclasses import dataclass

from ollama_provider.model import ModelDeclaration, Problem
from ollama_provider.ollama.names import ModelName, server_key


@dataclass(frozen=True)
class Key:
    """One model on one server, however both are written."""

    server: str
    name: ModelName


def key_of(declared: ModelDeclaration, provider_host: str | None) -> Key:
    """`provider_host` is where a resource without a host goes; None where that is not known."""
    host = declared.host or provider_host
    return Key("" if host is None else server_key(host), declared.model_name)


class DeclaredModels:
    """The models that a run has declared so far, each by one resource."""

    def __init__(self) -> None:
        self._declared: dict[Key, tuple[str, ModelDeclaration, bool]] = {}

    def problem_with(
        self, key: Key, declared: ModelDeclaration, resource: str, *, is_new: bool = False
    ) -> Problem | None:
        """Notes a model, and says where another resource has it.

        `resource` tells two resources apart, and is not shown. `is_new` says that it did not have the model before.
        """
        other, first, _ = self._declared.setdefault(key, (resource, declared, is_new))
        if other == resource:
            self._declared[key] = resource, declared, is_new
            return None
        written = "" if first.name == declared.name else f", as {first.name!r}"
        where = f" on {key.server}" if key.server else ""
        expected = (
            f"one resource for each model: another one declares {key.name}{where}{written}. Removing either of the "
            "two would take the model away from the other. Remove one of them, or give it another name"
        )
        return Problem(("name",), repr(declared.name), expected)

    def other(self, key: Key, resource: str) -> tuple[ModelDeclaration, bool] | None:
        """What another resource declares of a model, and whether it is new there; None where no other has it."""
        who, declared, is_new = self._declared.get(key, (resource, None, False))
        return None if declared is None or who == resource else (declared, is_new)

    def is_base(self, key: Key) -> bool:
        """Whether a model that is declared on the same server is made from this one."""
        return any(
            other.server == key.server and declared.base_name == key.name
            for other, (_, declared, _) in self._declared.items()
        )


class Residents:
    """The models that one program declares resident, to see two on one weights file before anything is done."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], tuple[str, bool]] = {}
        self._on_weights: dict[str, dict[str, list[str]]] = {}  # by server, then by what weights come from

    def problem_with(self, server: str, declared: ModelDeclaration) -> Problem | None:
        """Notes what a server (`Key.server`) is to have, and says where it cannot be with what was noted before."""
        own = str(declared.model_name).lower()
        source = str(declared.base_name).lower() if declared.base else declared.gguf or own
        noted = (source, declared.must_be_resident)
        before = self._on_weights.setdefault(server, {})
        moves_no_other = source == own and self._sources.get((server, own), noted) == noted
        self._sources[server, own] = noted
        if moves_no_other:
            if not declared.must_be_resident:
                return None
            sharing = before.setdefault(own, [])
            if own not in sharing:
                sharing.append(own)
        else:
            self._on_weights[server] = self._residents(server)
            sharing = self._on_weights[server].get(self._weights(server, own), [])
        others = [name for name in sharing if name != own]
        if not others:
            return None
        second = own
        if own not in sharing:
            if any(set(others) <= set(together) for together in before.values()):
                return None
            second = others.pop()  # not resident itself, and yet what shows that two others are on the same weights
        expected = (
            f"one resident model for each weights file: {others[0]} is declared resident on the same: each would "
            'evict the other. Declare one of the two memory_management = "automatic", or resident = false'
        )
        return Problem(("memory_management",), f"a second resident model ({second})", expected)

    def _residents(self, server: str) -> dict[str, list[str]]:
        """The models that are declared resident on a server, by what their weights come from."""
        on_weights: dict[str, list[str]] = {}
        for (where, name), (_, is_resident) in self._sources.items():
            if where == server and is_resident:
                on_weights.setdefault(self._weights(server, name), []).append(name)
        return on_weights

    def _weights(self, server: str, name: str) -> str:
        seen = set()
        while name not in seen:
            seen.add(name)
            name = self._sources.get((server, name), (name, False))[0]
        return name
