"""Writes the checker's JSON Schemas, of its configuration, reports and snapshots: `python -m ollama_policy.schemas
FOLDER`.

Editors that know TOML schemas take the first by a line `#:schema PATH` at the top of ollama-policy.toml.
"""

import json
import sys
from pathlib import Path

from ollama_policy import configuration
from ollama_policy.drift import snapshot
from ollama_policy.formats import json_report


def files() -> dict[str, str]:
    """Every generated file's name and text."""
    schemas = {
        "ollama-policy-configuration.schema.json": configuration.schema(),
        "ollama-policy-report.schema.json": json_report.schema(),
        "ollama-policy-snapshot.schema.json": snapshot.schema(),
    }
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


if __name__ == "__main__":
    for file_name, text in files().items():
        (Path(sys.argv[1]) / file_name).write_text(text, encoding="utf-8")
