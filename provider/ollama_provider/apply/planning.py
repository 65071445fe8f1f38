"""What a plan says before anything is done: what a declaration changes of a state, and what a server has against it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_provider.apply import content
from ollama_provider.apply.drift import UNBOUNDED_CURES
from ollama_provider.apply.server import Server
from ollama_provider.apply.states import CONTENT_REPLACED, INPUTS
from ollama_provider.apply.version_refusals import may_be_refused, refused_by
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import (
    MemoryManagement,
    ModelDeclaration,
    Problem,
    PullPolicy,
    Timeouts,
    declare,
)
from ollama_provider.ollama import durations
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.names import ModelName, server_key
from ollama_provider.ollama.parameters import typed_all

_CONTENT_INPUTS = ("base", "parameters", "system", "template")


@dataclass(frozen=True)
class Misfit:
    """What a plan says of a model that is to be pinned and does not fit. What may only grow too large is no error."""

    problem: Problem
    summary: str
    is_error: bool


@dataclass(frozen=True)
class Difference:
    """Which properties a declaration changes of a state, and which of them need another resource in its place."""

    changed: tuple[str, ...]
    replaces: tuple[str, ...] = ()


def difference(
    state: Mapping[str, Any],
    values: Mapping[str, Any],
    unknown: Collection[str] = (),
    provider_host: str | None = None,
) -> Difference:
    """What an update would change. `llama3` is `llama3:latest` and `5m` is `300s`: no change of text is a change.

    `provider_host` is where a model without a host is. Only a host that is another server needs another resource.
    """
    known = {name: value for name, value in values.items() if name not in unknown}
    if known.get("digest") is None:
        state = {**state, "digest": None}  # not declared (any more): whichever is there is right
    changed = [name for name in INPUTS if name in unknown or state.get(name) != known.get(name)]
    if changed:  # which is seldom so, and to bring a thousand declarations into one form takes time
        old, new = _normal(state), _normal(known)
        changed = [name for name in INPUTS if name in unknown or old.get(name) != new.get(name)]
    if state.get("drift"):
        changed.append("drift")
    if known.get("pull_policy") == PullPolicy.ALWAYS and not changed:
        changed.append("pull_policy")
    if "gguf" not in changed and known.get("gguf") and _gguf_changed(state, Path(known["gguf"])):
        changed.append("gguf")
    is_elsewhere = "host" in changed and ("host" in unknown or _is_elsewhere(state, known, provider_host))
    return Difference(tuple(changed), ("host",) if is_elsewhere else ())


def _is_elsewhere(state: Mapping[str, Any], known: Mapping[str, Any], provider_host: str | None) -> bool:
    hosts = [values.get("host") or provider_host for values in (state, known)]
    return None in hosts or len({server_key(str(host)) for host in hosts}) > 1


def unbounded_pin(state: Mapping[str, Any]) -> str | None:
    """What to warn of where a state, or what is planned, leaves a model to Ollama that is pinned forever."""
    mode = state.get("memory_management") or MemoryManagement.AUTOMATIC
    if not state.get("pinned") or mode != MemoryManagement.AUTOMATIC or state.get("keep_alive") is not None:
        return None
    return (
        f"{state['name']} is pinned, by a client or by the server's own keep_alive, and is never released: the state "
        f"declares nothing that an apply could restore. To change that, {UNBOUNDED_CURES}."
    )


def may_misfit(values: Mapping[str, Any]) -> bool:
    """Whether known inputs are such that `Lifecycle.misfit` has to ask a server."""
    return values.get("memory_management") == "manual" or may_be_refused(values)


def _normal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs in a form in which equal declarations are equal, defaults included."""
    fields = ModelDeclaration.model_fields
    normal = {name: fields[name].default for name in INPUTS}
    normal |= {name: values[name] for name in INPUTS if values.get(name) is not None}
    normal |= {name: ModelName.parse(normal[name]) for name in ("name", "base") if isinstance(normal[name], str)}
    if normal["keep_alive"]:
        normal["keep_alive"] = durations.parse(normal["keep_alive"])
    if normal["memory_management"] == MemoryManagement.MANUAL and normal["resident"] is None:
        normal["resident"] = True
    if normal["parameters"]:
        normal["parameters"] = typed_all(normal["parameters"])
    if normal["host"]:
        normal["host"] = server_key(normal["host"])
    if normal["digest"]:
        normal["digest"] = normal["digest"].removeprefix("sha256:")
    timeouts = dict(normal["timeouts"])
    normal["timeouts"] = Timeouts(**{key: value for key, value in timeouts.items() if value is not None}).in_seconds()
    return normal


def content_differs(state: Mapping[str, Any], declared: ModelDeclaration, gguf: content.GgufFile | None) -> bool:
    if state.get("drift") == CONTENT_REPLACED:
        return True
    old, new = _normal(state), _normal(declared.model_dump(mode="json", exclude_none=True))
    old_file: Mapping[str, Any] = state.get("gguf_file") or {}
    has_other_file = old_file.get("digest") != (gguf["digest"] if gguf else None)
    return has_other_file or any(old[name] != new[name] for name in _CONTENT_INPUTS)


def _gguf_changed(state: Mapping[str, Any], file: Path) -> bool:
    seen: content.GgufFile | None = state.get("gguf_file")
    return seen is not None and content.look_at(file, seen)["digest"] != seen["digest"]


class Planning:
    """What a plan asks a server. Only looks."""

    def __init__(self, settings: ProviderSettings, server_of: Callable[[ModelDeclaration], Server]) -> None:
        self._settings = settings
        self._server_of = server_of

    async def misfit(self, values: Mapping[str, Any]) -> Misfit | None:
        """What a plan is to say of a model that the server refuses, or that will be pinned and has no room. Only looks.

        A server that does not answer is not a misfit: the apply says it.
        """
        declared = declare(values)
        try:
            if problem := await refused_by(self._server_of(declared), declared):
                return Misfit(problem, f"{values['name']} is refused by its server", is_error=True)
        except OllamaError:
            return None
        if self._settings.memory_check == "off" or not declared.must_be_resident:
            return None
        from ollama_provider.apply.capacity import capacity_of  # noqa: PLC0415 - most plans pin nothing

        server = self._server_of(declared)
        found = await capacity_of(server, self._settings.memory_bytes).shortage(server, declared)
        if found is None:
            return None
        expected = 'enough memory: lower num_ctx, make another model automatic, or set memory_check = "off"'
        problem = Problem(("memory_management",), found.words, expected)
        summary = f"{values['name']} {'may outgrow the memory' if found.is_growth else 'will not fit'}"
        return Misfit(problem, summary, self._settings.memory_check == "error" and not found.is_growth)

    async def replaced_content(self, values: Mapping[str, Any]) -> str:
        """What a plan is to say of a new resource that makes a model whose name is taken; empty where it is free.

        Only looks. A server that does not answer is not news: the apply says it.
        """
        source = values.get("base") or values.get("gguf")
        if not source:
            return ""
        declared = declare(values)
        try:
            is_taken = declared.model_name in (await self._server_of(declared).view()).installed
        except OllamaError:
            return ""
        if not is_taken:
            return ""
        return (
            f"{declared.model_name} already exists on the server. The apply creates it again from {source}, and "
            "nothing keeps the content that it has now"
        )

    async def made_from(self, declared: ModelDeclaration) -> list[ModelName]:
        """The models on the server that were made from the declared one, as Ollama says, as far as they are seen."""
        name = declared.model_name
        try:
            installed = (await self._server_of(declared).view()).installed
        except OllamaError:
            return []
        return [other for other, model in installed.items() if other != name and model.is_from(name)]
