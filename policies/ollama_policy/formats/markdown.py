"""A table for a job's summary or a comment on a pull request."""

from html import escape

from ollama_policy.formats.writing import many, place_of
from ollama_policy.model.result import Result
from ollama_policy.model.rule import Severity
from ollama_policy.text.escaping import shown

_MOST_ROWS = 500  # a comment on GitHub holds 65,536 characters


def render(result: Result) -> str:
    lines = ["## ollama-policy", "", _counts(result), ""]
    rows = [
        f"| {_code(place_of(reported.finding.file, reported.start))} "
        f"| {reported.severity.value} | {reported.finding.rule.id} {reported.finding.rule.name} "
        f"| {cell(reported.finding.message)} |"
        for reported in result.findings
    ]
    if rows:
        lines += ["| where | severity | rule | what |", "|---|---|---|---|", *rows[:_MOST_ROWS]]
        if len(rows) > _MOST_ROWS:
            lines.append(f"| | | | and {len(rows) - _MOST_ROWS} more |")
        lines.append("")
    for title, items in (
        ("Unreadable", [(problem.path, problem.message) for problem in result.unreadable]),
        (
            "Undecided",
            [(f"{one.file.path}:{one.start.line}:{one.start.column}", one.reason) for one in result.undecided],
        ),
    ):
        if items:
            lines += [f"### {title}", "", *(f"- {_code(place)}: {cell(why)}" for place, why in items[:_MOST_ROWS]), ""]
    return "\n".join(lines)


def _counts(result: Result) -> str:
    return (
        f"{many(result.count(Severity.ERROR), 'error')}, {many(result.count(Severity.WARNING), 'warning')}, "
        f"{result.count(Severity.INFO)} info, {len(result.undecided)} undecided, {len(result.unreadable)} unreadable, "
        f"{len(result.accepted)} suppressed, in {many(result.read, 'file')}"
    )


def cell(text: str) -> str:
    """Text that is nothing but text: no markup, no mention of a person, no end of a cell."""
    text = escape(shown(text), quote=False)
    return "".join(f"\\{character}" if character in "\\`*_{}[]()#+!|~@" else character for character in text)


def _code(text: str) -> str:
    return f"<code>{cell(text)}</code>"
