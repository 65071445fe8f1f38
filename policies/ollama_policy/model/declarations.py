"""What the settings of one declaration say. Names a model's validity by the generated table, without pydantic."""

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ollama_policy.model.declaration_table import BOOLEANS, CHOICES, DEADLINES, DURATIONS, PROPERTIES, TEXTS
from ollama_policy.model.servers import decided
from ollama_policy.model.settings import Subject, Unknown
from ollama_provider.ollama import durations
from ollama_provider.ollama.parameters import PARAMETERS, is_valid

if TYPE_CHECKING:
    from ollama_provider.ollama.names import ModelName

AUTOMATIC, MANUAL = "automatic", "manual"
SOURCE_TAGS = (":local", ":cloud", "-cloud")  # ends of names that Ollama may read as another's: model.py judges them
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


def is_cloud_name(text: object) -> bool:
    """Whether it is certain that a name is one that Ollama sends to ollama.com."""
    if not isinstance(text, str) or not text.lower().endswith(SOURCE_TAGS[1:]):
        return False
    name = model_name(text)
    return name is not None and name.is_cloud_tag


def runs_elsewhere(declaration: Subject) -> bool:
    """Whether it is certain that a declared model is the cloud's, by its own name or its base's."""
    return any(is_cloud_name(declaration.value(key)) for key in ("name", "base"))


def last_part(name: str) -> str:
    """What names have in common that are the same to Ollama; to compare this first is cheaper than to read them."""
    return name[name.rfind("/") + 1 :].lower().removesuffix(":latest")


def is_same_name(one: str, other: str) -> bool:
    """Whether two valid names are the same to Ollama."""
    return last_part(one) == last_part(other) and model_name(one) == model_name(other)


def split(declaration: Subject) -> tuple[dict[str, Any], frozenset[str]]:
    """The declaration's known values, and the names of those that may be anything."""
    known: dict[str, Any] = {}
    unknown: set[str] = set()
    for key, setting in declaration.settings.items():
        value = setting.value
        if contains_unknown(value):
            if key in PROPERTIES:
                unknown.add(key)
            else:
                known[key] = True  # wrong, whatever it says
        elif value is not None:
            known[key] = value
    if declaration.unknown is not None:
        unknown |= PROPERTIES - declaration.settings.keys()
    return known, frozenset(unknown)


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
    for name, value in values.items():
        if not _check(name)(value):
            return False
    if any(str(values.get(name, "")).lower().endswith(SOURCE_TAGS) for name in ("name", "base")):
        return False
    mode = values.get("memory_management", AUTOMATIC)
    if "memory_management" not in unknown and ("resident" if mode == AUTOMATIC else "keep_alive") in values:
        return False
    if "gguf" in values:  # that it is one, and not beside base, is not in the table
        return False
    if "base" in values and "name" in values and is_same_name(values["base"], values["name"]):
        return False
    has_source = "base" in values or "base" in unknown or "gguf" in unknown
    return has_source or not {"parameters", "system", "template"} & values.keys()


@lru_cache
def _check(name: str) -> Callable[[Any], bool]:
    """What tells whether a property's value is accepted."""
    if name in TEXTS:
        pattern = TEXTS[name]
        if pattern is None:
            return _is_text
        match = re.compile(pattern.removesuffix("$") + r"\Z").match
        return lambda value: isinstance(value, str) and match(value) is not None
    if name in CHOICES:
        accepted = CHOICES[name]
        return lambda value: isinstance(value, str) and value in accepted
    if name in BOOLEANS:
        return _is_boolean
    if name in DURATIONS:
        return is_finite_duration
    return _OTHERS.get(name, _is_refused)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_refused(value: Any) -> bool:
    return False


def _are_timeouts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key in DEADLINES and _nanoseconds(deadline) > 0 for key, deadline in value.items()
    )


def _are_parameters(value: Any) -> bool:
    return isinstance(value, dict) and all(key in PARAMETERS and is_valid(key, item) for key, item in value.items())


def _is_host(value: Any) -> bool:
    from ollama_provider.ollama.names import InvalidServerError, server_url  # noqa: PLC0415 - few give one

    try:
        return isinstance(value, str) and bool(server_url(value))
    except InvalidServerError:
        return False


_OTHERS = {"timeouts": _are_timeouts, "parameters": _are_parameters, "host": _is_host}


def is_finite_duration(value: Any) -> bool:
    """Whether a value is a Go duration that is not negative."""
    return _nanoseconds(value) >= 0


def _nanoseconds(value: Any) -> int:
    return _parsed_duration(value) if isinstance(value, str) else -1


@lru_cache  # for most declarations say the same
def _parsed_duration(text: str) -> int:
    try:
        return -1 if text.startswith("-") else durations.parse(text)
    except durations.InvalidDurationError:
        return -1
