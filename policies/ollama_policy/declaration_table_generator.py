"""Writes declaration_table.py from model.py: `python -m ollama_policy.declaration_table_generator`."""

from pathlib import Path
from typing import Any

from ollama_provider.model import ModelDeclaration, Timeouts
from ollama_provider.ollama import durations
from ollama_provider.schemas import resource_schema

PATH = Path(__file__).with_name("declaration_table.py")


def text() -> str:
    """The module's text, in the house's format."""
    schema = resource_schema()
    texts: dict[str, str | None] = {}
    choices: dict[str, tuple[str, ...]] = {}
    booleans, lengths = [], []
    for name, found in schema["properties"].items():
        described = found if "$ref" not in found else _resolved(found, schema)
        if "enum" in described:
            choices[name] = tuple(described["enum"])
        elif described.get("type") == "boolean":
            booleans.append(name)
        elif described.get("pattern") == durations.PATTERN:
            lengths.append(name)
        elif described.get("type") == "string" and name != "host":
            texts[name] = described.get("pattern")
    return "\n".join(
        [
            '"""Generated from ollama_provider/model.py by `python -m ollama_policy.declaration_table_generator`."""',
            "",
            *_lines("PROPERTIES = frozenset(", [_shown(name) + "," for name in ModelDeclaration.model_fields], "("),
            *_lines(
                "TEXTS: dict[str, str | None] = ",
                [_text(name, pattern) for name, pattern in texts.items()],
                "{",
            ),
            *_lines(
                "CHOICES = ",
                [f"{_shown(name)}: ({', '.join(map(_shown, accepted))})," for name, accepted in choices.items()],
                "{",
            ),
            f"BOOLEANS = frozenset(({', '.join(map(_shown, booleans))}))",
            f"DURATIONS = frozenset(({', '.join(map(_shown, lengths))},))",
            f"DEADLINES = frozenset(({', '.join(map(_shown, Timeouts.model_fields))}))",
            "",
        ]
    )


def _resolved(found: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    target: dict[str, Any] = schema["$defs"][found["$ref"].rpartition("/")[2]]
    return target


def _lines(head: str, items: list[str], opening: str) -> list[str]:
    closing = ")" if opening == "(" else "}"
    inner = [f"    {item}" for item in items]
    if head.endswith("("):
        return [f"{head}", f"    {opening}", *(f"    {line}" for line in inner), f"    {closing}", ")"]
    return [f"{head}{opening}", *inner, closing]


def _shown(name: str) -> str:
    return f'"{name}"'


def _text(name: str, pattern: str | None) -> str:
    line = f"{_shown(name)}: " + ("None," if pattern is None else f'r"{pattern}",')
    return f"{line}  # noqa: E501" if len(line) > 116 else line


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
