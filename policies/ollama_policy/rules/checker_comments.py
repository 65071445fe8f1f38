"""Rules about the checker's own comments and files. They judge nothing: the pipeline makes their findings."""

from typing import ClassVar

from ollama_policy.model.rule import Example, Rule, Severity
from ollama_policy.model.settings import Kind


class _Housekeeping(Rule):
    severity = Severity.WARNING
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset()
    source = "ollama-policy itself"


_TEXT = """resource "ollama_model" "m" {{
  name              = "llama3"
  memory_management = "manual"{comment}
}}
"""


def _example(comment: str) -> tuple[Example, ...]:
    return (Example("models.tf", _TEXT.format(comment=comment)),)


class InvalidSuppression(_Housekeeping):
    id = "OLL901"
    name = "invalid-suppression"
    summary = "a suppression that suppresses nothing: no reason, an unknown rule, or an invalid date"
    why = (
        "A suppression is a decision that somebody will have to understand later, so it counts only with a reason. "
        "One that names a rule that does not exist, or a date that cannot be read, would be taken for one that works."
    )
    fix = "Write `# ollama-policy: ignore[OLL001] until=2027-01-31 the reason`; the date may be left out."
    bad = _example("  # «ollama-policy: ignore[OLL001]»")
    good = _example("")


class ExpiredSuppression(_Housekeeping):
    id = "OLL902"
    name = "expired-suppression"
    summary = "a suppression whose date has passed"
    why = "It was meant to hold until that day; what it suppressed is reported again."
    fix = "Fix what it suppressed, or give it a later date."
    bad = _example("  # «ollama-policy: ignore[OLL001] until=2020-01-31 until the migration»")
    good = _example("")


class UnusedSuppression(_Housekeeping):
    id = "OLL903"
    name = "unused-suppression"
    summary = "a suppression of something that is not there"
    why = "What it suppressed is fixed or moved; left behind, it would hide the next one."
    fix = "Delete the comment."
    bad = _example("  # «ollama-policy: ignore[OLL001] not needed here»")
    good = _example("")


class StaleBaselineEntry(_Housekeeping):
    id = "OLL904"
    name = "stale-baseline-entry"
    severity = Severity.INFO
    summary = "a baseline's entry that no longer occurs"
    why = "It is fixed, and the entry would accept its return."
    fix = "Write the baseline anew with `ollama-policy baseline FILE`."
    bad = (Example("baseline.json", "«»"),)
    good = (Example("baseline.json", ""),)


CHECKER_COMMENTS: tuple[type[Rule], ...] = (
    InvalidSuppression,
    ExpiredSuppression,
    UnusedSuppression,
    StaleBaselineEntry,
)
