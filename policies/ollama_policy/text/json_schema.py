"""The words that the JSON Schemas of our reports are made of, and whether a file is as one says."""

from typing import Any, Final

from ollama_policy.errors import UnreadableError

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
FLAG: Final[Schema] = {"type": "boolean"}
BYTES: Final[Schema] = COUNT | {"description": "Bytes."}
TIME: Final[Schema] = {"type": "string", "format": "date-time", "description": "RFC 3339, by the server's own clock."}


def record(properties: Schema, optional: Schema | None = None) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def mapped(value: Schema) -> Schema:
    """An object of any fields, each with such a value."""
    return {"type": "object", "additionalProperties": value}


def or_null(schema: Schema, description: str = "") -> Schema:
    either: Schema = {"anyOf": [schema, {"type": "null"}]}
    return either | {"description": description} if description else either


def check(document: Any, schema: Schema, what: str) -> None:
    """Raises UnreadableError at the first thing in a file that is not as its schema says."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only what is read from a file needs it
    from jsonschema.exceptions import best_match  # noqa: PLC0415

    error = best_match(Draft202012Validator(schema).iter_errors(document))
    if error is not None:
        raise UnreadableError(0, f"{what} in which {error.json_path} is wrong: {error.message[:200]}")


def document(title: str, version: int, properties: Schema, optional: Schema | None = None) -> Schema:
    """The schema of a whole file. `version` changes where a field goes or changes its meaning."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **record({"version": {"const": version}} | properties, optional),
    }
