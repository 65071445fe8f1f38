"""A report for programs, once it is what its committed schema says."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_FOLDER = Path(__file__).parents[1] / "schemas"


def valid(name: str, text: str | bytes) -> Any:
    """What a text of JSON says; `name` is the command that wrote it."""
    said = json.loads(text)
    schema = json.loads((_FOLDER / f"ollama-policy-{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(said)
    return said
