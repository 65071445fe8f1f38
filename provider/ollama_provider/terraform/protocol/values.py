"""Terraform's values and their coding: cty's types in JSON, cty's values in msgpack.

A type is what cty's JSON form says: "string", "number", "bool", "dynamic", ["list", T], ["set", T], ["map", T],
["tuple", [T, ...]] or ["object", {name: T}]. A value is what Python has for it: an unset one is None, a number that a
float would not keep is a Decimal, and one that is not known yet is UNKNOWN.
"""

import json
import re
from collections.abc import Iterator, Mapping
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
_TEXT, _NUMBER, _BOOL, _LIST, _OBJECT = "a text", "a number", "a bool", "a list", "an object"
_JSON_OF = {
    STRING: _TEXT,
    NUMBER: _NUMBER,
    BOOL: _BOOL,
    "list": _LIST,
    "set": _LIST,
    "tuple": _LIST,
    "map": _OBJECT,
    "object": _OBJECT,
}
_INNER: Final[dict[str, Any]] = {
    "object": dict,
    "tuple": list,
    "list": (str, list),
    "set": (str, list),
    "map": (str, list),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_TYPES = {str: _TEXT, bool: _BOOL, int: _NUMBER, float: _NUMBER, Decimal: _NUMBER, list: _LIST, dict: _OBJECT}


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
    """A value of a type from the JSON of a state file. Attributes that the type does not have are dropped.

    Raises NotATerraformValueError, which names every place that holds something else.
    """
    if faults := list(_faults(value, type_, "")):
        raise NotATerraformValueError("; ".join(faults))
    return _from_json(value, type_)


def _faults(value: Any, type_: Any, place: str) -> Iterator[str]:
    """What in a JSON value is not of a type. A type that the value itself brings may be anything."""
    if value is None:
        return
    kind, inner = _kind_and_inner(type_)
    found, where = _JSON_TYPES.get(type(value), "something else"), place or "it"
    if kind == DYNAMIC:
        if not isinstance(value, Mapping) or not {"type", "value"} <= value.keys():
            yield f"{where} is {found}, expected an object with `type` and `value`"
        else:
            yield from _faults(value["value"], value["type"], f"{place}.value")
    elif not isinstance(kind, str) or kind not in _JSON_OF or not isinstance(inner, _INNER.get(kind, object)):
        yield f"{where} has a type that Terraform does not know"
    elif found != _JSON_OF[kind]:
        yield f"{where} is {found}, expected {_JSON_OF[kind]}"
    elif isinstance(value, str):
        if _SURROGATE.search(value):
            yield f"{where} holds half of a surrogate pair, expected text"
    elif kind == "object":
        for name, its_type in inner.items():
            yield from _faults(value.get(name), its_type, f"{place}.{name}".lstrip("."))
    elif kind == "map":
        for key, item in value.items():
            yield from _faults(key, STRING, f"a key of {where}")
            yield from _faults(item, inner, f"{place}[{json.dumps(key)}]")
    elif kind == "tuple" and len(inner) != len(value):
        yield f"{where} has {len(value)} elements, expected {len(inner)}"
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _faults(item, inner[at] if kind == "tuple" else inner, f"{place}[{at}]")


def _kind_and_inner(type_: Any) -> tuple[Any, Any]:
    return (type_[0], type_[1]) if isinstance(type_, list) and len(type_) == 2 else (type_, None)


def _from_json(value: Any, type_: Type) -> Any:
    if value is None:
        return None
    if type_ == DYNAMIC:
        return Dynamic(value["type"], _from_json(value["value"], value["type"]))
    if isinstance(type_, str):
        return value
    kind, inner = type_
    if kind in ("list", "set"):
        return [_from_json(item, inner) for item in value]
    if kind == "tuple":
        return [_from_json(item, its_type) for item, its_type in zip(value, inner, strict=True)]
    if kind == "map":
        return {key: _from_json(item, inner) for key, item in value.items()}
    return {name: _from_json(value.get(name), its_type) for name, its_type in inner.items()}


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
