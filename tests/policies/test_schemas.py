"""The checker's committed schemas are what its code says."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from ollama_policy.schemas import files

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_the_committed_schemas_are_those_that_the_code_gives() -> None:
    committed = {name: (SCHEMAS / name).read_text(encoding="utf-8") for name in files()}
    assert committed == files(), "run: python -m ollama_policy.schemas schemas"


def test_they_are_schemas() -> None:
    for text in files().values():
        Draft202012Validator.check_schema(json.loads(text))
