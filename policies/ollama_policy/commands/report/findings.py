"""Findings of files and drift of a server, as rows."""

from collections.abc import Sequence

from ollama_policy.commands.report.pictures.table import Table
from ollama_policy.formats.writing import place_of
from ollama_policy.model.result import Reported, Unreadable


def table(caption: str, found: Sequence[Reported]) -> Table:
    rows = tuple(
        (
            place_of(one.finding.file, one.start),
            one.severity.value,
            f"{one.finding.rule.id} {one.finding.rule.name}",
            one.finding.message,
            _way_out(one),
        )
        for one in found
    )
    return Table(caption, ("where", "severity", "rule", "what", "what to do"), rows)


def unreadable(problems: Sequence[Unreadable]) -> Table:
    rows = tuple((one.path, one.message) for one in problems)
    return Table("Could not be looked at", ("where", "why"), rows)


def _way_out(one: Reported) -> str:
    titles = "; or ".join(fix.title for fix in one.finding.fixes)
    return one.finding.advice or titles or one.finding.rule.fix
