"""The words that the JSON Schemas of our reports are made of."""

from typing import Any, Final

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


def document(title: str, version: int, properties: Schema, optional: Schema | None = None) -> Schema:
    """The schema of a whole file. `version` changes where a field goes or changes its meaning."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **record({"version": {"const": version}} | properties, optional),
    }
