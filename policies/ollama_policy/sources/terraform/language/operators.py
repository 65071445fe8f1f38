"""HCL's operators, and what an index or a member of a value is."""

import operator
from collections.abc import Callable
from typing import Any, Final

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.values import MAX_ITEMS, Invalid, SetOf

LARGE: Final = Unknown("a value that is too large to be worked out")


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(left: Any, right: Any) -> tuple[Any, Any] | Unknown:
    """Both as numbers, or why that cannot be."""
    left, right = values.to_number(left), values.to_number(right)
    for value in (left, right):
        if isinstance(value, Unknown):
            return value
        if value is None:
            return Invalid("null where a number is needed")
    return left, right


def compared(name: str, left: Any, right: Any) -> Any:
    numbers = _numbers(left, right)
    return numbers if isinstance(numbers, Unknown) else COMPARE[name](*numbers)


def arithmetic(name: str, left: Any, right: Any) -> Any:
    numbers = _numbers(left, right)
    if isinstance(numbers, Unknown):
        return numbers
    left, right = numbers
    if name in ("/", "%") and right == 0:
        return Unknown("a division by zero")
    if _integer(left) and _integer(right):
        if max(abs(left), abs(right)) > 10**100:
            return LARGE
        if name == "%":
            return abs(left) % abs(right) * (1 if left >= 0 else -1)  # the sign of the dividend
        if name == "/" and left % right == 0:
            return left // right
        if name != "/":
            return {"+": operator.add, "-": operator.sub, "*": operator.mul}[name](left, right)
    from fractions import Fraction  # noqa: PLC0415 - rarely needed

    left, right = Fraction(repr(left)), Fraction(repr(right))
    if name == "%":
        return Unknown("the remainder of a fraction")
    result = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[name](left, right)
    try:
        return int(result) if result.denominator == 1 else float(result)
    except OverflowError:
        return LARGE


COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def member_of(value: Any, name: str) -> Any:
    if hasattr(value, "instance"):
        return value.attribute(name)
    if isinstance(value, dict) and name in value:
        return value[name]
    return Invalid(f"no attribute {name} in a {values.kind_of(value)}")


def element_of(value: Any, key: Any) -> Any:
    if isinstance(key, Unknown):
        return key
    if hasattr(value, "instance"):
        return value.instance(key)
    if isinstance(value, dict):
        name = values.to_text(key)
        return value[name] if isinstance(name, str) and name in value else Invalid("a key that the map does not have")
    at = values.to_number(key)
    if isinstance(value, list) and not isinstance(value, SetOf) and _integer(at) and 0 <= at < len(value):
        return value[at]
    return Invalid("an index that the value does not have")


def bounded(value: Any) -> Any:
    """A collection, or Unknown where all that is in it is too much."""
    left = MAX_ITEMS
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, Invalid):
                return item  # Terraform refuses the whole of it
    waiting = [value] if isinstance(value, list | dict) else []
    while waiting:
        box = waiting.pop()
        left -= len(box) + 1
        if left < 0:
            return LARGE
        waiting += [item for item in (box.values() if isinstance(box, dict) else box) if isinstance(item, list | dict)]
    return value


def pairs_of(source: Any) -> list[tuple[Any, Any]] | Unknown:
    """What a loop goes over: keys and values in Terraform's order."""
    if isinstance(source, Unknown):
        return source
    if isinstance(source, dict):
        return [(key, source[key]) for key in sorted(source)]
    if isinstance(source, SetOf):
        return [(value, value) for value in source]
    if isinstance(source, list):
        return list(enumerate(source))
    return Invalid(f"a loop over a {values.kind_of(source)}")
