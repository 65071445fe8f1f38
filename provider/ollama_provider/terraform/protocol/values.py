"""Terraform's values and their coding: cty's types in JSON, cty's values in msgpack.

A type is what cty's JSON form says: "string", "number", "bool", "dynamic", ["list", T], ["set", T], ["map", T],
["tuple", [T, ...]] or ["object", {name: T}]. A value is what Python has for it: an unset one is None, a number that a
float would not keep is a Decimal, and one that is not known yet is UNKNOWN.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgpack

Type = str | list[Any]

STRING: Final = "string"
NUMBER: Final = "number"
BOOL: Final = "bool"
DYNAMIC: Final = "dynamic"

_INT64 = range(-(2**63), 2**63)
_UNKNOWN_EXTENSION = 0


class Unknown:
    """The one value that is not known yet; what Terraform knows about it nevertheless is not kept."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Dynamic:
    """The value of a `dynamic` attribute, with the type that its configuration gave it."""

    type: Type
    value: Any


class NotATerraformValueError(ValueError):
    """Bytes that do not hold a value of the type that was expected."""


def list_of(element: Type) -> Type:
    return ["list", element]


def map_of(element: Type) -> Type:
    return ["map", element]


def object_of(attributes: Mapping[str, Type]) -> Type:
    return ["object", dict(attributes)]


def decode(data: bytes, type_: Type) -> Any:
    """A value of a type from msgpack. Raises NotATerraformValueError."""
    try:
        raw = msgpack.unpackb(data, ext_hook=lambda _code, _data: UNKNOWN, strict_map_key=False)
        return _typed(raw, type_)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, msgpack.UnpackException) as error:
        raise NotATerraformValueError(f"no value of type {json.dumps(type_)}: {error}") from error


def encode(value: Any, type_: Type) -> bytes:
    """The msgpack of a value. An object gets each of its type's attributes, None where the value has none."""
    packed: bytes = msgpack.packb(_raw(value, type_))
    return packed


def from_json(value: Any, type_: Type) -> Any:
    """A value of a type from the JSON of a state file. Attributes that the type does not have are dropped."""
    if value is None:
        return None
    if type_ == DYNAMIC:
        return Dynamic(value["type"], from_json(value["value"], value["type"]))
    if isinstance(type_, str):
        return value
    kind, inner = type_
    if kind in ("list", "set"):
        return [from_json(item, inner) for item in value]
    if kind == "tuple":
        return [from_json(item, its_type) for item, its_type in zip(value, inner, strict=True)]
    if kind == "map":
        return {key: from_json(item, inner) for key, item in value.items()}
    return {name: from_json(value.get(name), its_type) for name, its_type in inner.items()}


def plain(value: Any) -> Any:
    """A value as other code expects it: without types, and with ints and floats for numbers. UNKNOWN stays."""
    if isinstance(value, Dynamic):
        return plain(value.value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def dynamic(value: Any) -> Dynamic | None:
    """A plain value with the type that a literal of it has in configuration."""
    return None if value is None else Dynamic(_type_of(value), value)


def holds_unknown(value: Any) -> bool:
    if isinstance(value, Dynamic):
        return holds_unknown(value.value)
    if isinstance(value, dict):
        return any(map(holds_unknown, value.values()))
    if isinstance(value, list):
        return any(map(holds_unknown, value))
    return value is UNKNOWN


def _type_of(value: Any) -> Type:
    if value is None or value is UNKNOWN:
        return DYNAMIC
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | float | Decimal):
        return NUMBER
    if isinstance(value, str):
        return STRING
    if isinstance(value, Mapping):
        return object_of({key: _type_of(item) for key, item in value.items()})
    return ["tuple", [_type_of(item) for item in value]]


def _typed(raw: Any, type_: Type) -> Any:
    if raw is None or raw is UNKNOWN:
        return raw
    if isinstance(type_, str):
        if type_ == DYNAMIC:
            own_type = json.loads(raw[0])
            return Dynamic(own_type, _typed(raw[1], own_type))
        # A number that is neither an int of 64 bits nor a double arrives as its digits.
        return Decimal(raw) if type_ == NUMBER and isinstance(raw, str) else raw
    kind, inner = type_
    if kind == "object":
        return {name: _typed(raw.get(name), its_type) for name, its_type in inner.items()}
    if kind == "map":
        return {key: _typed(item, inner) for key, item in raw.items()}
    if kind == "tuple":
        return [_typed(item, its_type) for item, its_type in zip(raw, inner, strict=True)]
    return [_typed(item, inner) for item in raw]


def _raw(value: Any, type_: Type) -> Any:
    if value is UNKNOWN:
        return msgpack.ExtType(_UNKNOWN_EXTENSION, b"\0")
    if value is None:
        return None
    if isinstance(type_, str):
        if type_ == DYNAMIC:
            return [json.dumps(value.type, separators=(",", ":")).encode(), _raw(value.value, value.type)]
        if isinstance(value, Decimal):
            return str(value)
        return str(value) if type(value) is int and value not in _INT64 else value
    kind, inner = type_
    if kind == "object":
        return {name: _raw(value.get(name), its_type) for name, its_type in inner.items()}
    if kind == "map":
        return {key: _raw(item, inner) for key, item in value.items()}
    if kind == "tuple":
        return [_raw(item, its_type) for item, its_type in zip(value, inner, strict=True)]
    return [_raw(item, inner) for item in value]
