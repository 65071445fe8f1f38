"""The forms of a declaration's fields, with the texts that refuse others."""

import json
import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from ollama_provider.ollama import durations
from ollama_provider.ollama.names import (
    NAME_PATTERN,
    NAME_SHAPE,
    InvalidNameError,
    InvalidServerError,
    ModelName,
    server_url,
)


def matching(pattern: str) -> WithJsonSchema:
    # What a pattern can say is for editors; what is wrong, and what to do, only the validators can say.
    return WithJsonSchema({"type": "string", "pattern": pattern})


def refuse(found: str, expected: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{found}\x00{expected}", {"found": found, "expected": expected})


def checked_model_name(text: str) -> str:
    try:
        ModelName.parse(text)
    except InvalidNameError as error:
        raise refuse(shown_value(text), f"a model name {NAME_SHAPE}; {error}") from None
    return text


def checked_server(text: str) -> str:
    try:
        server_url(text)
    except InvalidServerError as error:
        has_secret = any(character in text for character in "@?")
        found = "an address with a user, a password or a query" if has_secret else shown_value(text)
        raise refuse(found, f"an address as in OLLAMA_HOST; {error}") from None
    return text


def checked_digest(text: str) -> str:
    if not re.fullmatch(r"(sha256:)?[0-9a-f]{64}", text):
        raise refuse(shown_value(text), "the manifest's sha256 in 64 hex digits, as /api/tags shows it")
    return text


def checked_duration(text: str) -> str:
    try:
        nanoseconds = durations.parse(text)
    except durations.InvalidDurationError as error:
        raise refuse(shown_value(text), f'a Go duration such as "5m"; {error}') from None
    if nanoseconds < 0:
        raise refuse(shown_value(text), "a duration that is not negative")
    return text


def checked_keep_alive(text: str) -> str:
    if text.strip().startswith("-") or text.strip().lower() in {"forever", "inf", "infinite", "never"}:
        expected = 'a finite Go duration such as "5m"; to hold a model forever say memory_management = "manual"'
        raise refuse(shown_value(text), expected)
    return checked_duration(text)


def checked_deadline(text: str) -> str:
    if durations.parse(checked_duration(text)) == 0:
        raise refuse(shown_value(text), "a duration over zero")
    return text


Name = Annotated[str, AfterValidator(checked_model_name), matching(NAME_PATTERN)]
Digest = Annotated[str, AfterValidator(checked_digest), matching("^(sha256:)?[0-9a-f]{64}$")]
Deadline = Annotated[str, AfterValidator(checked_deadline), matching(durations.PATTERN)]
KeepAlive = Annotated[str, AfterValidator(checked_keep_alive), matching(durations.PATTERN)]


def shown_value(value: object) -> str:
    """A value as data: quoted, control characters escaped, cut where it is long."""
    text = escaped(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 120 else text[:117] + "..."


def escaped(text: str) -> str:
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)
