"""`ollama_model` as Terraform sees it: the schema from model.py, and states in the lifecycle's form."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from ollama_provider.apply.ownership import Origin
from ollama_provider.apply.states import INPUTS, OUTPUTS
from ollama_provider.model import ModelDeclaration, Timeouts
from ollama_provider.schemas import resource_schema
from ollama_provider.terraform.protocol.provider import Values
from ollama_provider.terraform.protocol.schema import Attribute, Schema
from ollama_provider.terraform.protocol.values import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    Type,
    holds_unknown,
    list_of,
    object_of,
    plain,
)

OUTPUT_TYPES: Final[dict[str, Type]] = {
    "id": STRING,
    "origin": STRING,
    "digest": STRING,
    "size": NUMBER,
    "family": STRING,
    "parameter_size": STRING,
    "quantization_level": STRING,
    "context_length": NUMBER,
    "capabilities": list_of(STRING),
    "pinned": BOOL,
    "drift": STRING,
    "gguf_file": object_of({"digest": STRING, "size": NUMBER, "mtime_ns": NUMBER}),
}
DEFAULTS: Final[Values] = {
    name: field.default.value if isinstance(field.default, Enum) else field.default
    for name, field in ModelDeclaration.model_fields.items()
    if isinstance(field.default, Enum | bool)
}
# What Terraform shows once the provider has decided it, though the configuration may leave it out.
_FILLED_IN = {*DEFAULTS, "resident", "digest"}


def model_schema() -> Schema:
    """The schema of the managed resource. An output that is an input too stands once."""
    types = {"boolean": BOOL, "object": DYNAMIC}
    properties = resource_schema()["properties"]
    attributes = {
        name: Attribute(
            type=types.get(properties[name].get("type"), STRING),
            description=_description(name, field.description or ""),
            required=field.is_required(),
            optional=not field.is_required(),
            computed=name in _FILLED_IN,
        )
        for name, field in ModelDeclaration.model_fields.items()
        if name != "timeouts"
    }
    computed = {
        name: Attribute(type=OUTPUT_TYPES[name], description=text, computed=True)
        for name, text in OUTPUTS.items()
        if name not in attributes
    }
    return Schema(
        description="One model on one Ollama server, with its memory as part of the desired state.",
        attributes=attributes | computed,
        blocks={"timeouts": _timeouts()},
        version=2,
    )


def known_inputs(config: Values) -> tuple[Values, set[str]]:
    """The inputs that are given and known, in the lifecycle's form, and the names of those that are not known yet."""
    unknown = {name for name in INPUTS if holds_unknown(config[name])}
    return {
        name: plain_of(config, name) for name in INPUTS if name not in unknown and config[name] is not None
    }, unknown


def plain_state(state: Values) -> Values:
    """A state in the lifecycle's form."""
    return {name: plain_of(state, name) for name in state}


def plain_of(values: Values, name: str) -> Any:
    """One value in the lifecycle's form. A parameter that is null is not set, as an attribute that is null is."""
    value = plain(values[name])
    if name == "parameters" and isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


def with_defaults(config: Values) -> Values:
    """The inputs as they will stand in the state."""
    filled = {name: DEFAULTS.get(name) if config[name] is None else config[name] for name in INPUTS}
    if filled["resident"] is None and filled["memory_management"] == "manual":
        filled["resident"] = True
    return filled


def upgraded(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """A state of an older version in this one's form.

    Before there was an origin, "delete" was the default of `on_destroy`. Whose a model was is not known: it is found.
    """
    if "origin" in state or "name" not in state:
        return state
    on_destroy = state.get("on_destroy")
    return {**state, "origin": Origin.FOUND.value, "on_destroy": None if on_destroy == "delete" else on_destroy}


def _description(name: str, text: str) -> str:
    if name not in DEFAULTS:
        return text
    default = DEFAULTS[name]
    return f"{text} Default: `{str(default).lower() if isinstance(default, bool) else default}`."


def _timeouts() -> Schema:
    attributes = {
        name: Attribute(type=STRING, description=f"{field.description} Default: `{field.default}`.", optional=True)
        for name, field in Timeouts.model_fields.items()
    }
    description = ModelDeclaration.model_fields["timeouts"].description or ""
    return Schema(description=f"{description} Go durations.", attributes=attributes)
