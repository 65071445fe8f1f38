"""Rules about the checker's own comments and files. They judge nothing: the pipeline makes their findings."""

from typing import ClassVar

from ollama_policy.model.rule import Example, Rule, Severity
from ollama_policy.model.settings import Kind


class _OwnRule(Rule):
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


class InvalidSuppression(_OwnRule):
    id = "OLL901"
    name = "invalid-suppression"
    summary = "a suppression that suppresses nothing: no reason, an unknown rule, or an invalid date"
    why = (
        "A suppression is a decision that other people have to understand later, so it counts only with a reason. One "
        "with a rule that does not exist, or with a date that cannot be read, looks as if it works, but suppresses "
        "nothing."
    )
    fix = "Write `# ollama-policy: ignore[OLL001] until=2027-01-31 the reason`; the date is optional."
    bad = _example("  # «ollama-policy: ignore[OLL001]»")
    good = _example("")


class ExpiredSuppression(_OwnRule):
    id = "OLL902"
    name = "expired-suppression"
    summary = "a suppression whose date has passed"
    why = "The suppression applied until that date; the checker reports the suppressed finding again."
    fix = "Fix the finding, or set a later date."
    bad = _example("  # «ollama-policy: ignore[OLL001] until=2020-01-31 until the migration»")
    good = _example("")


class UnusedSuppression(_OwnRule):
    id = "OLL903"
    name = "unused-suppression"
    summary = "a suppression without a finding to suppress"
    why = "The suppressed finding is fixed or has moved. If the comment stays, it hides the next finding."
    fix = "Delete the comment."
    bad = _example("  # «ollama-policy: ignore[OLL001] not needed here»")
    good = _example("")


class StaleBaselineEntry(_OwnRule):
    id = "OLL904"
    name = "stale-baseline-entry"
    severity = Severity.INFO
    summary = "a baseline entry whose finding no longer occurs"
    why = "The finding is fixed, and the entry would accept it if it came back."
    fix = "Write the baseline again with `ollama-policy baseline FILE`."
    bad = (Example("baseline.json", "«»"),)
    good = (Example("baseline.json", ""),)


CHECKER_COMMENTS: tuple[type[Rule], ...] = (
    InvalidSuppression,
    ExpiredSuppression,
    UnusedSuppression,
    StaleBaselineEntry,
)
