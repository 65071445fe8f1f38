"""Every rule's own examples, through the real sources: found at the exact place, and clean where they are good."""

import re
from pathlib import Path

import pytest

from ollama_policy.model.result import Result
from ollama_policy.model.rule import Example, Rule, Severity, Target
from ollama_policy.model.settings import apply
from ollama_policy.pipeline.check import Options, check
from ollama_policy.pipeline.configuration import Configuration
from ollama_policy.rules import RULES, pages
from ollama_policy.rules.registry import EVERY_RULE
from tests.policies.rules.subjects import ANY

_MARKED = re.compile(r"«(.*?)»", re.DOTALL)
_TRUE_OF_ALL = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


def run(files: dict[str, bytes], rules: tuple[type[Rule], ...], target: Target = ANY) -> Result:
    """Checks files that are on no disk. They make one tree."""
    return check([*files], Options(rules, Configuration(target=target), overlay=files))


def plain(examples: tuple[Example, ...]) -> dict[str, bytes]:
    return {example.path: example.text.replace("«", "").replace("»", "").encode() for example in examples}


def marked(examples: tuple[Example, ...]) -> list[tuple[str, int, int]]:
    """The places of what stands between the marks: path and bytes."""
    found = []
    for example in examples:
        for number, match in enumerate(_MARKED.finditer(example.text)):
            marks_before = 2 * len("«".encode()) * number
            start = len(example.text[: match.start()].encode()) - marks_before
            found.append((example.path, start, start + len(match[1].encode())))
    return sorted(found)


@_TRUE_OF_ALL
def test_bad_examples_are_found_at_their_place(rule: type[Rule]) -> None:
    result = run(plain(rule.bad), (rule,), rule.example_target)
    findings = [reported.finding for reported in result.findings]
    assert not result.unreadable
    assert sorted((one.file.path, one.span.start, one.span.end) for one in findings) == marked(rule.bad)
    assert marked(rule.bad)
    for one in findings:
        assert one.rule is rule
        assert one.message
        assert one.label or one.advice or one.fixes


@_TRUE_OF_ALL
def test_good_examples_are_clean(rule: type[Rule]) -> None:
    result = run(plain(rule.good), RULES, rule.example_target)
    findings = [reported.finding for reported in result.findings]
    assert (result.unreadable, result.undecided, result.read) == ([], [], len(rule.good))
    assert not [one for one in findings if one.rule is rule or one.rule.severity is not Severity.INFO]


@_TRUE_OF_ALL
def test_every_way_out_ends_the_finding_and_changes_nothing_else(rule: type[Rule]) -> None:
    files = plain(rule.bad)
    for reported in run(files, (rule,), rule.example_target).findings:
        for fix in reported.finding.fixes:
            fixed = dict(files)
            for path in {edit.file.path for edit in fix.edits}:
                fixed[path] = apply([edit for edit in fix.edits if edit.file.path == path], files[path])
            result = run(fixed, (rule,), rule.example_target)
            assert not result.unreadable
            assert len(result.findings) == len(marked(rule.bad)) - 1, fix.title


def test_ids_and_names_are_in_order_and_unlike() -> None:
    ids = [rule.id for rule in RULES]
    assert ids == sorted(set(ids))
    assert len({rule.name for rule in RULES}) == len(RULES)


@_TRUE_OF_ALL
def test_a_rule_is_a_file_of_its_name(rule: type[Rule]) -> None:
    assert rule.__module__ == f"ollama_policy.rules.{rule.name.replace('-', '_')}"
    assert re.fullmatch(r"OLL[0-4][0-9]{2}", rule.id)
    assert rule.summary[-1] != "."
    for text in (rule.why, rule.fix, rule.experiment or rule.not_shown):
        assert text.endswith(".")
    assert bool(rule.experiment) != bool(rule.not_shown), "tests/engines/test_rule_experiments.py shows it, or why not"


def test_the_committed_pages_are_what_the_classes_give() -> None:
    folder = Path(__file__).parents[3] / "docs" / "rules"
    committed = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert committed == pages.files(), "run: make generated"


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.id)
def test_a_page_says_all_of_the_class_folded(rule: type[Rule]) -> None:
    page = pages.page(rule)
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    for text in (f"# {rule.id} {rule.name}\n", rule.severity, rule.summary, rule.why, rule.fix, rule.source):
        assert " ".join(text.split()) in " ".join(prose.split())
    for line in prose.splitlines():
        assert len(line) <= 100
        assert re.match(r"[-+*>|]\s|\d+[.)]\s", line) is None  # what a fold would make a list
    assert " ".join((rule.experiment or rule.not_shown).split()) in " ".join(prose.split())
    seen = "## Seen on a real Ollama" if rule.experiment else "## Not seen on a real Ollama" if rule.not_shown else ""
    headings = [f"# {rule.id} {rule.name}", "## What to do", "## Reported", "## Not reported", *filter(None, [seen])]
    headings += ["## Source"]
    assert [line for line in prose.splitlines() if line.startswith("#")] == headings
    assert "«" not in page
