"""A rule in words, made of its class; those of all rules: `python -m ollama_policy.rules.pages docs/rules`."""

import sys
from pathlib import Path
from textwrap import fill
from typing import Final

from ollama_policy.model.rule import Example, Rule
from ollama_policy.rules.registry import EVERY_RULE

_WIDTH: Final = 100
_FAMILIES: Final = {
    "OLL0": "Declarations of `ollama_model`",
    "OLL1": "A server's variables",
    "OLL2": "Sums of memory",
    "OLL3": "Versions",
    "OLL4": "Requests in scripts",
    "OLL5": "Drift between declarations and servers, by `ollama-policy drift`",
    "OLL6": "What a server's log shows",
    "OLL9": "The checker's own comments and files",
}
_LANGUAGES: Final = {
    ".tf": "hcl", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh", ".json": "json", ".env": "sh", ".log": "text"
}  # fmt: skip


def file_name(rule: type[Rule]) -> str:
    return f"{rule.id}.md"


def page(rule: type[Rule]) -> str:
    """A rule's page, in Markdown that a terminal shows as well: `explain` prints it."""
    parts = [
        f"# {rule.id} {rule.name}",
        *_folded(f"*{rule.severity.value}*: {rule.summary}."),
        *_folded(rule.why),
        "## What to do",
        *_folded(rule.fix),
        "## Reported",
        *map(_block, rule.bad),
        "## Not reported",
        *map(_block, rule.good),
        *_seen(rule),
        "## Source",
        *_folded(f"{rule.source}."),
        f"Since {rule.since}.",
    ]
    return "\n\n".join(parts) + "\n"


def _seen(rule: type[Rule]) -> list[str]:
    if rule.experiment:
        return ["## Seen on a real Ollama", *_folded(rule.experiment)]
    return ["## Not seen on a real Ollama", *_folded(rule.not_shown)] if rule.not_shown else []


def index() -> str:
    """The table of all rules, in Markdown."""
    lines = ["# Rules", "", "Generated from the rules' classes by `python -m ollama_policy.rules.pages docs/rules`."]
    family = ""
    for rule in EVERY_RULE:
        if family != rule.id[:4]:
            family = rule.id[:4]
            lines += ["", f"## {_FAMILIES[family]}", "", "| rule | severity | what it finds |", "|---|---|---|"]
        lines.append(f"| [{rule.id} {rule.name}]({file_name(rule)}) | {rule.severity.value} | {rule.summary} |")
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """Every generated file's name and text."""
    return {"README.md": index()} | {file_name(rule): page(rule) for rule in EVERY_RULE}


def _folded(text: str) -> list[str]:
    return [fill(part, _WIDTH, break_long_words=False, break_on_hyphens=False) for part in text.split("\n\n")]


def _block(example: Example) -> str:
    text = example.text.replace("«", "").replace("»", "").rstrip("\n")
    language = _LANGUAGES.get(Path(example.path).suffix, "")
    return f"`{example.path}`:\n\n```{language}\n{text}\n```"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("OLL[0-9][0-9][0-9]-*.md"):
        old.unlink()
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
