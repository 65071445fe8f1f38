"""Values that HCL, YAML or JSON wrote, each with its own place, and as one text of YAML that another source reads."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.composed import UNDECIDED, Composed, Place
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.blocks import ABSENT, Expression
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.server_reader import Reader

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./+-][A-Za-z0-9_./+:@-]*(?<!:)")
_NAME: Final = re.compile(r"[A-Za-z_][\w-]*")
_QUOTED: Final = re.compile(r'"((?:[^"\\${}]|\$\{[^"{}]*\})*)"')
_REFERENCE: Final = re.compile(r"\$\{[^{}]*\}")
_MAX_DEPTH: Final = 32


@dataclass(slots=True)
class Scalar:
    """A value. `text` is None for null; `is_plain`: written without quotes, so that YAML says what it is.

    Where the place says that it is undecided, the text is what can be seen of it.
    """

    text: str | None
    is_plain: bool
    place: Place

    @property
    def is_undecided(self) -> bool:
        return self.place.unknown is not None

    def hide(self, unknown: Unknown) -> None:
        if not self.is_undecided:
            self.place = replace(self.place, unknown=unknown)


@dataclass(slots=True)
class Mapping:
    """Names with their places, and values."""

    place: Place
    members: "dict[str, tuple[Place, Value]]" = field(default_factory=dict)

    def hide(self, unknown: Unknown) -> None:
        """Makes all that is in it undecided."""
        for _, value in self.members.values():
            value.hide(unknown)


@dataclass(slots=True)
class Sequence:
    place: Place
    items: "list[Value]"

    def hide(self, unknown: Unknown) -> None:
        for item in self.items:
            item.hide(unknown)


Value = Scalar | Mapping | Sequence


def of_expression(expression: Expression, reader: Reader, depth: int = _MAX_DEPTH) -> Value:
    """A value as far as it is written out, each part at its place; all else as what it comes to."""
    place = Place(expression.file, expression.start, expression.end)
    members, items = expression.members(), expression.items()
    if depth and members is not None:
        box = Mapping(place)
        for key, value in members:
            name = key.text if _NAME.fullmatch(key.text) else values.to_text(evaluate(key, reader.scope))
            at = Place(key.file, key.start, key.end, None if isinstance(name, str) else Unknown("a name is not known"))
            name = name if isinstance(name, str) else f"{UNDECIDED} {len(box.members)}"
            box.members[name] = (at, of_expression(value, reader, depth - 1))
        return box
    if depth and items is not None:
        return Sequence(place, [of_expression(item, reader, depth - 1) for item in items])
    value = evaluate(expression, reader.scope)
    is_literal = isinstance(expression.literal(), str) and not expression.is_json
    origin = "" if expression.literal() is not ABSENT else reader.origin(expression)
    found = of_value(value, replace(place, is_literal=is_literal, origin=origin), depth)
    if isinstance(found, Scalar) and found.is_undecided and (quoted := _QUOTED.fullmatch(expression.text)):
        found.text = _REFERENCE.sub(UNDECIDED, quoted[1])
    return found


def of_value(value: Any, place: Place, depth: int = _MAX_DEPTH) -> Value:
    """What an expression came to, all of it at the expression's place."""
    inner = replace(place, is_literal=False)
    if isinstance(value, dict | list) and not depth:
        value = Unknown("a value that is nested too deeply to be worked out")
    if isinstance(value, dict):
        return Mapping(inner, {str(key): (inner, of_value(each, inner, depth - 1)) for key, each in value.items()})
    if isinstance(value, list):
        return Sequence(inner, [of_value(each, inner, depth - 1) for each in value])
    text = values.to_text(value)
    if isinstance(text, Unknown):
        return Scalar(UNDECIDED, False, replace(inner, unknown=text))
    return Scalar(text, not isinstance(value, str), place)


def composed(value: Value) -> Composed:
    """Values as YAML in brackets, a line for each: one that is undecided says so of its line only."""
    text = Composed()
    for piece, place in _pieces(value):
        text.stand_in(piece, place)
    return text


def _pieces(value: Value) -> Iterator[tuple[str, Place]]:
    place = replace(value.place, unknown=None, is_literal=False)
    if isinstance(value, Scalar):
        is_plain = value.is_plain and not value.is_undecided and value.text is not None
        if is_plain and _PLAIN.fullmatch(value.text or ""):
            yield value.text or "", value.place
        else:
            yield json.dumps(value.text, ensure_ascii=False), value.place
    elif isinstance(value, Sequence):
        yield "[\n", place
        for item in value.items:
            yield from _pieces(item)
            yield ",\n", place
        yield "]", place
    else:
        yield "{\n", place
        for name, (key, member) in value.members.items():
            yield json.dumps(name, ensure_ascii=False), key
            yield ": ", key
            yield from _pieces(member)
            yield ",\n", place
        yield "}", place
