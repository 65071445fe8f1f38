"""What a state of a declared model holds: the declared inputs, and beside them what was found (`OUTPUTS`).

A state is a dict that JSON can hold. Nothing that moves by itself is in it.
"""

from collections.abc import Mapping
from typing import Any

from ollama_provider.apply import content
from ollama_provider.apply.drift import AS_DECLARED, drift_of, second_name
from ollama_provider.apply.ownership import Origin, origin_in
from ollama_provider.apply.server import View
from ollama_provider.model import (
    InvalidDeclarationError,
    ModelDeclaration,
    Problem,
    recorded,
)
from ollama_provider.ollama.answers import InstalledModel, Running
from ollama_provider.ollama.names import ModelName, server_url

State = dict[str, Any]
INPUTS = tuple(ModelDeclaration.model_fields)
OUTPUTS = {
    "id": "The model's name in full as it was created, with `@host` where the resource has its own host.",
    "origin": "How the model came to the server: `pulled`, `derived` or `uploaded` by the resource, or `found` if it "
    "was there before. A destroy does not delete a found model, unless `on_destroy` says so. A model that passes "
    "to another resource in the same run keeps its origin if the old resource is seen first; otherwise, it "
    "becomes `found`: with `create_before_destroy`, and if a Pulumi resource gets another name.",
    "digest": "The sha256 of the model's manifest in hex, as /api/tags shows it.",
    "size": "Bytes on disk.",
    "family": "The architecture's family, such as `llama`.",
    "parameter_size": "The number of parameters, such as `8.0B`.",
    "quantization_level": "The quantization of the weights, such as `Q4_K_M`.",
    "context_length": "The context that the model was trained for, in tokens.",
    "capabilities": "What the model can do, such as `completion` or `embedding`.",
    "pinned": "Whether the model is in memory without a timer.",
    "drift": "How the server differs from the declaration, in words; empty if it does not.",
    "gguf_file": "The uploaded local file: its digest, its size in bytes and its time.",
}
NO_DRIFT = AS_DECLARED
CONTENT_REPLACED = "its content was replaced by somebody else"
APPLY_CUT_OFF = "an apply was cut off: the older content is still kept under a second name"
_IMPORTED = ("keep_alive", "on_destroy")
DETAILS = ("context_length", "capabilities")  # of /api/show


def identity(declared: ModelDeclaration) -> str:
    """The id of a resource: what an import takes."""
    return f"{declared.model_name}@{server_url(declared.host)}" if declared.host else str(declared.model_name)


def declared_in(state: Mapping[str, Any]) -> ModelDeclaration:
    """What a state was declared as. Raises InvalidDeclarationError."""
    # The digest of a state is the one that is there, not one that was asked for. And a state must be readable where
    # its local file is not, so nothing is checked here beyond the fields' own form.
    known = {name: state[name] for name in INPUTS if state.get(name) is not None and name != "digest"}
    return recorded(known)


def left_behind_state(state: Mapping[str, Any], name: str, digest: str) -> State:
    """What a failed rename of a resource left, as if it had a state of its own."""
    kept = {key: state.get(key) for key in ("host", "on_destroy", "timeouts")}
    return kept | {"name": name, "digest": digest, "origin": Origin.PULLED.value}


def imported(import_id: str) -> dict[str, str]:
    """The inputs that an import names. Raises InvalidDeclarationError for another one than `_IMPORTED`."""
    identity, _, more = import_id.partition("?")
    name, _, host = identity.partition("@")
    values = {"name": name} | ({"host": host} if host else {})
    for part in filter(None, more.split("&")):
        key, _, value = part.partition("=")
        if key not in _IMPORTED:
            found = f"{key!r} after the ? of {import_id!r}"
            raise InvalidDeclarationError([Problem(("id",), found, f"KEY=VALUE with one of {', '.join(_IMPORTED)}")])
        values[key] = value
    return values


def kept_of(values: Mapping[str, Any], resource_id: str, origin: Origin, gguf: content.GgufFile | None) -> State:
    """What a state has of the declaration and of the apply, whatever the server says."""
    inputs = {name: values[name] for name in INPUTS if values.get(name) is not None}
    return inputs | {"id": resource_id, "origin": origin.value} | ({"gguf_file": gguf} if gguf else {})


def outputs_of(declared: ModelDeclaration, found: State, view: View, known: Mapping[str, Any] | None) -> State:
    """The outputs that a look at the server shows; the `DETAILS` are not among them."""
    model = view.installed[declared.model_name]
    return {
        "digest": found["digest"] if same_digest(found.get("digest"), model.digest) else model.digest,
        "size": model.size,
        "family": model.family,
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization_level,
        "pinned": is_pinned(view.running, model.name),
        "drift": _drift(declared, model, view, known),
    }


def _drift(declared: ModelDeclaration, model: InstalledModel, view: View, known: Mapping[str, Any] | None) -> str:
    if second_name(declared.model_name) in view.installed:
        return APPLY_CUT_OFF
    was_replaced = known and (
        known.get("drift") == CONTENT_REPLACED or not same_digest(known.get("digest"), model.digest)
    )
    if declared.is_made_here and was_replaced:
        return CONTENT_REPLACED
    return drift_of(declared, model.digest, view.running)


def same_digest(declared: object, found: str) -> bool:
    return isinstance(declared, str) and declared.removeprefix("sha256:") == found


def is_as_left(state: Mapping[str, Any], name: ModelName, installed: Mapping[ModelName, InstalledModel]) -> bool:
    """Whether a name has what the last apply left; after an apply that was cut off, its second name has it."""
    there = (installed[one].digest for one in (name, second_name(name)) if one in installed)
    return any(same_digest(state.get("digest"), digest) for digest in there)


def origin_now(state: Mapping[str, Any], name: ModelName, installed: Mapping[ModelName, InstalledModel]) -> Origin:
    """Whose a model is: what somebody else made under its name was found."""
    return origin_in(state) if is_as_left(state, name, installed) else Origin.FOUND


def is_pinned(running: Running, name: ModelName) -> bool:
    return any(model.name == name and running.is_pinned(model) for model in running.models)
