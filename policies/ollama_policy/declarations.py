"""What the settings of one declaration say. Names a model's validity by the generated table, without pydantic."""

import re
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any

from ollama_policy.declaration_table import BOOLEANS, CHOICES, DEADLINES, DURATIONS, PARAMETERS, PROPERTIES, TEXTS
from ollama_policy.servers import decided
from ollama_policy.settings import Subject, Unknown
from ollama_provider.ollama import durations

if TYPE_CHECKING:
    from ollama_provider.ollama.names import ModelName

AUTOMATIC, MANUAL = "automatic", "manual"
_PLAIN = frozenset((str, bool, int, float, type(None)))


def mode_of(declaration: Subject) -> Any:
    """What memory_management says, its default included; None where that is not decided."""
    if not decided(declaration, "memory_management"):
        return None
    written = declaration.value("memory_management")
    return AUTOMATIC if written is None else written


def is_pinned(declaration: Subject) -> bool | None:
    """Whether the model is declared to stay in memory; None where that is not decided."""
    mode = mode_of(declaration)
    if mode is None or not decided(declaration, "resident"):
        return False if mode == AUTOMATIC or declaration.value("resident") is False else None
    return bool(mode == MANUAL) and declaration.value("resident") is not False


def model_name(text: object) -> "ModelName | None":
    """A known and valid name."""
    return _parsed(text) if isinstance(text, str) else None


@lru_cache(maxsize=2**16)
def _parsed(text: str) -> "ModelName | None":
    from ollama_provider.ollama.names import InvalidNameError, ModelName  # noqa: PLC0415 - not for a server's settings

    try:
        return ModelName.parse(text)
    except InvalidNameError:
        return None


def shown_name(declaration: Subject) -> str:
    """The model in a sentence: its name in quotes, where it is known."""
    name = declaration.value("name")
    return f'"{name}"' if isinstance(name, str) else "the model"


def split(declaration: Subject) -> tuple[dict[str, Any], frozenset[str]]:
    """The declaration's known values, and the names of those that may be anything."""
    known = {key: setting.value for key, setting in declaration.settings.items() if not contains_unknown(setting.value)}
    unknown = declaration.settings.keys() - known.keys()
    if unknown - PROPERTIES:  # wrong, whatever they say
        known |= dict.fromkeys(unknown - PROPERTIES, True)
        unknown &= PROPERTIES
    if declaration.unknown is not None:
        unknown |= PROPERTIES - known.keys()
    return {key: value for key, value in known.items() if value is not None}, frozenset(unknown)


def contains_unknown(value: Any) -> bool:
    """Whether a value, or anything in it, is Unknown. Without recursion: nesting is the file's to choose."""
    if type(value) in _PLAIN:
        return False
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, Unknown):
            return True
        if isinstance(item, dict):
            rest.extend(item.values())
        elif isinstance(item, list | tuple):
            rest.extend(item)
    return False


def certainly_valid(values: Mapping[str, Any], unknown: Collection[str] = ()) -> bool:
    """Whether ollama_provider.model would find nothing wrong. False says nothing: only that it has to be asked."""
    if "name" not in values and "name" not in unknown:
        return False
    if not all(_accepts(name, value) for name, value in values.items()):
        return False
    mode = values.get("memory_management", AUTOMATIC)
    if "memory_management" not in unknown and ("resident" if mode == AUTOMATIC else "keep_alive") in values:
        return False
    if "gguf" in values:  # that it is one, and not beside base, is not in the table
        return False
    if "base" in values and "name" in values and model_name(values["base"]) == model_name(values["name"]):
        return False
    has_source = "base" in values or bool({"base", "gguf"} & set(unknown))
    return has_source or not {"parameters", "system", "template"} & values.keys()


def _accepts(name: str, value: Any) -> bool:
    if name in TEXTS:
        pattern = TEXTS[name]
        return isinstance(value, str) and (pattern is None or bool(_compiled(pattern).match(value)))
    if name in CHOICES:
        return isinstance(value, str) and value in CHOICES[name]
    if name in BOOLEANS:
        return isinstance(value, bool)
    if name in DURATIONS:
        return is_finite_duration(value)
    if name == "timeouts":
        return isinstance(value, dict) and all(
            key in DEADLINES and _nanoseconds(deadline) > 0 for key, deadline in value.items()
        )
    if name == "parameters":
        return isinstance(value, dict) and all(key in PARAMETERS and _is_parameter(item) for key, item in value.items())
    if name == "host" and isinstance(value, str):
        from ollama_provider.ollama.names import InvalidServerError, server_url  # noqa: PLC0415

        try:
            return bool(server_url(value))
        except InvalidServerError:
            return False
    return False


def _is_parameter(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value))


def is_finite_duration(value: Any) -> bool:
    """Whether a value is a Go duration that is not negative."""
    return _nanoseconds(value) >= 0


def _nanoseconds(value: Any) -> int:
    try:
        return -1 if not isinstance(value, str) or value.startswith("-") else durations.parse(value)
    except durations.InvalidDurationError:
        return -1


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.removesuffix("$") + r"\Z")
