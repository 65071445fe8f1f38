"""Every rule's own examples are logs: found on the marked line, and clean where they are good."""

import pytest

from ollama_policy.rules.log_rules import LOG_RULES, LogRule
from tests.policies.logs.told import told

_TRUE_OF_ALL = pytest.mark.parametrize("rule", LOG_RULES, ids=lambda rule: rule.id)


@_TRUE_OF_ALL
def test_bad_examples_are_found_on_their_line(rule: type[LogRule]) -> None:
    (example,) = rule.bad
    marked = [number for number, line in enumerate(example.text.splitlines(), 1) if line.startswith("«")]
    found = told(example.text.replace("«", "").replace("»", "").encode()).findings
    assert [(one.finding.rule, one.start.line) for one in found] == [(rule, line) for line in marked]
    (reported,) = found
    assert reported.severity is rule.severity
    assert reported.finding.file.line(reported.start.line) in example.text
    assert reported.end > reported.start


@_TRUE_OF_ALL
def test_good_examples_are_clean(rule: type[LogRule]) -> None:
    (example,) = rule.good
    result = told(example.text.encode())
    assert result.findings == []
    assert result.story.known


@_TRUE_OF_ALL
def test_examples_have_no_line_that_only_releases_before_0_30_write(rule: type[LogRule]) -> None:
    for (example,) in (rule.bad, rule.good):
        assert "starting runner" not in example.text
        assert "llama runner" not in example.text


def test_ids_and_names_are_in_order_and_unlike() -> None:
    ids = [rule.id for rule in LOG_RULES]
    assert ids == sorted(set(ids))
    assert all(one.startswith("OLL6") for one in ids)
    assert len({rule.name for rule in LOG_RULES}) == len(LOG_RULES)
