"""Writes the reference page of `ollama_model` from model.py: `python -m ollama_provider.reference FILE`."""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from pydantic import BaseModel

from ollama_provider.apply.states import OUTPUTS
from ollama_provider.model import ModelDeclaration, Timeouts

_HEAD = """# `ollama_model`

One model on one Ollama server, with its memory as part of the desired state. In Pulumi: `OllamaModel`.

Generated from `provider/ollama_provider/model.py`: do not edit.

## Inputs

"""


def page() -> str:
    """The page's text, in Markdown."""
    lines = [_HEAD + _table(ModelDeclaration), "### `timeouts`\n", _table(Timeouts), "## Outputs\n"]
    lines.append("| output | what it is |\n|---|---|")
    lines.extend(f"| `{name}` | {text} |" for name, text in OUTPUTS.items())
    return "\n".join(lines) + "\n"


def _table(model: type[BaseModel]) -> str:
    return "\n".join(["| input | default | what it means |", "|---|---|---|", *_rows(model), ""])


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        default = field.default.value if isinstance(field.default, Enum) else field.default
        if field.is_required():
            shown = "required"
        elif default is None or isinstance(default, BaseModel):
            shown = ""
        else:
            shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
        yield f"| `{name}` | {shown} | {field.description} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
