"""Writes the JSON Schemas of a declaration, generated from model.py: `python -m ollama_provider.schemas FOLDER`."""

import json
import sys
from pathlib import Path
from typing import Any

from ollama_provider.model import ModelDeclaration

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MANUAL = {"properties": {"memory_management": {"const": "manual"}}, "required": ["memory_management"]}
_HAS_SOURCE = {"anyOf": [{"required": ["base"]}, {"required": ["gguf"]}]}


def _without(name: str) -> dict[str, Any]:
    return {"not": {"required": [name]}}


def _plain(schema: Any) -> Any:
    """Without what pydantic adds for itself: titles, and a null beside every optional value."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    alternatives = [item for item in schema.get("anyOf", ()) if item != {"type": "null"}]
    if len(alternatives) == 1:
        schema = {key: value for key, value in schema.items() if key != "anyOf"} | alternatives[0]
    drop_null = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    return {key: _plain(value) for key, value in drop_null.items() if not (key == "title" and isinstance(value, str))}


def resource_schema() -> dict[str, Any]:
    """The schema of one `ollama_model`, what its properties may not be together included."""
    schema = _plain(ModelDeclaration.model_json_schema())
    schema["allOf"] = [
        {"if": _MANUAL, "then": _without("keep_alive"), "else": _without("resident")},
        {"not": {"required": ["base", "gguf"]}},
        *({"if": {"required": [name]}, "then": _HAS_SOURCE} for name in ("parameters", "system", "template")),
    ]
    return {
        "$schema": DIALECT,
        "title": "ollama_model",
        "description": "One Ollama model, with its memory as part of the desired state.",
    } | {key: value for key, value in schema.items() if key != "description"}


def plain_schema() -> dict[str, Any]:
    """The schema of the plain form: one model, a list, or a map of them by name, at the top or in `models`.

    The name may be missing where a map's key gives it, and in a lone fragment such as one line alone.
    """
    resource = resource_schema()
    definitions = resource.pop("$defs")
    model = {key: value for key, value in resource.items() if key not in ("$schema", "required")}
    # By its keys a mapping is one model, or a map of models: a key that is a property settles it.
    names = list(ModelDeclaration.model_fields)
    is_model = {"anyOf": [{"required": [name]} for name in names]}
    many = {
        "if": {"type": "array"},
        "then": {"items": {"allOf": [{"$ref": "#/$defs/model"}, {"required": ["name"]}]}},
        "else": {"type": "object", "additionalProperties": {"$ref": "#/$defs/model"}},
    }
    return {
        "$schema": DIALECT,
        "title": "Ollama models in plain YAML, JSON or TOML",
        "description": 'One model (`memory_management: "automatic"`), a list of models, or a map of them by name.',
        "if": {"type": "object", "required": ["models"]},
        "then": {"properties": {"models": {"$ref": "#/$defs/models"}}, "additionalProperties": False},
        "else": {"if": {"type": "object", **is_model}, "then": {"$ref": "#/$defs/model"}, "else": many},
        "$defs": definitions | {"model": model, "models": many},
    }


def files() -> dict[str, str]:
    """Every generated file's name and text."""
    schemas = {"ollama_model.schema.json": resource_schema(), "ollama_models.schema.json": plain_schema()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


if __name__ == "__main__":
    for file_name, text in files().items():
        (Path(sys.argv[1]) / file_name).write_text(text, encoding="utf-8")
