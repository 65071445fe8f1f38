"""Terraform's values and how they convert and compare: str, int or float, bool, None, list, dict, and Unknown.

Facts: the type conversions of Terraform's language documentation, tried in `terraform console` 1.11.
"""

from typing import Any, Final

from ollama_policy.model.settings import Unknown

MAX_TEXT: Final = 1 << 18  # code points; longer results are not worked out
MAX_ITEMS: Final = 10_000


class Invalid(Unknown):
    """What Terraform would refuse too, such as an index that is not there: `try` goes on from it."""

    __slots__ = ()


class SetOf(list[Any]):
    """A set: without repeats, in Terraform's order for texts."""


def first_unknown(value: Any, depth: int = 64) -> Unknown | None:
    """The first part of a value that is not known."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, list | dict):
        if depth == 0:
            return Unknown("a value that is nested too deeply to be worked out")
        for item in value.values() if isinstance(value, dict) else value:
            if (unknown := first_unknown(item, depth - 1)) is not None:
                return unknown
    return None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_primitive(value: Any) -> bool:
    return isinstance(value, str | int | float)


def to_text(value: Any) -> Any:
    """As `tostring`: null stays null."""
    if value is None or isinstance(value, str | Unknown):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**400 else Unknown("a number of very many digits")
    if isinstance(value, float):
        text = repr(value)
        exact = "e" not in text and len(text.strip("-").replace(".", "")) <= 15
        return text if exact else Unknown(f"the number {text} has no exact decimal form here")
    return Invalid(f"a {kind_of(value)} where a text is needed")


def to_number(value: Any) -> Any:
    if value is None or isinstance(value, Unknown) or is_number(value):
        return value
    if isinstance(value, str) and len(value) < 400:
        try:
            return int(value) if value.lstrip("-").isdecimal() and value.isascii() else plain_number(float(value))
        except (ValueError, OverflowError):
            pass
    return Invalid(f"a {kind_of(value)} where a number is needed")


def plain_number(value: float) -> int | float:
    """A whole number as int. Raises OverflowError or ValueError for what is not a finite number."""
    return int(value) if int(value) == value else value


def to_bool(value: Any) -> Any:
    if value is None or isinstance(value, bool | Unknown):
        return value
    if value in ("true", "1", "false", "0"):
        return value in ("true", "1")
    return Invalid(f"a {kind_of(value)} where true or false is needed")


def to_set(values: list[Any]) -> Any:
    """The set of some values; texts win over numbers and booleans, as in every collection of one type."""
    values = unified(values)
    if any(first_unknown(value) is not None for value in values):
        return next(unknown for value in values if (unknown := first_unknown(value)) is not None)
    if all(isinstance(value, str) for value in values):
        return SetOf(sorted(set(values)))
    if all(is_number(value) for value in values):
        return SetOf(sorted(set(values)))
    return SetOf(without_repeats(values[:MAX_ITEMS]))


def without_repeats(values: list[Any]) -> list[Any]:
    """The first of each that are the same, by `same`: collections are only where they are one."""
    found: dict[tuple[str, Any], Any] = {}
    for value in values:
        found.setdefault((kind_of(value), id(value) if isinstance(value, list | dict) else value), value)
    return list(found.values())


def unified(values: list[Any]) -> list[Any]:
    """Primitives of several types, a text among them, made one: texts. Numbers and booleans alone do not mix."""
    kinds = {kind_of(value) for value in values if is_primitive(value)}
    if len(kinds) < 2 or "text" not in kinds:
        return list(values)
    return [to_text(value) if is_primitive(value) else value for value in values]


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "list"
    return "map" if isinstance(value, dict) else "number"


def same(left: Any, right: Any) -> bool | Unknown:
    """As `==`, which never converts. Collections are not compared: a list and a tuple of one content differ."""
    for value in (left, right):
        if isinstance(value, Unknown):
            return value
    if left is None or right is None:
        return left is right
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        return left is right or Unknown("a comparison of two collections")
    return kind_of(left) == kind_of(right) and bool(left == right)


def one_type(chosen: Any, other: Any) -> Any:
    """The chosen result of a conditional, whose two results become one type: a number beside a text is a text."""
    if isinstance(chosen, Unknown) or chosen is None or other is None:
        return chosen
    if isinstance(other, Unknown):
        return chosen if is_primitive(chosen) else Unknown(other.reason)  # its shape is not known either
    if is_primitive(chosen) and is_primitive(other):
        kinds = {kind_of(chosen), kind_of(other)}
        if len(kinds) == 1:
            return chosen
        return to_text(chosen) if "text" in kinds else Unknown("a number and a boolean as results of a conditional")
    return chosen if alike(chosen, other) else Unknown("the two results of a conditional differ in shape")


def alike(left: Any, right: Any, depth: int = 16) -> bool:
    """Whether two values can be of one type without either being changed."""
    if isinstance(left, Unknown) or isinstance(right, Unknown) or left is None or right is None:
        return True
    if depth == 0:
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() == right.keys():
            return all(alike(left[key], right[key], depth - 1) for key in left)
        left, right = list(left.values()), list(right.values())
    if isinstance(left, SetOf) != isinstance(right, SetOf):
        return False
    if isinstance(left, list) and isinstance(right, list):
        both = [*left, *right]
        return all(alike(both[0], item, depth - 1) for item in both)
    return kind_of(left) == kind_of(right)
