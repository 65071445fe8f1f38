"""The examples of every kind of drift, through the real command: what a file declares beside a recorded snapshot."""

import json
import re
from pathlib import Path

import pytest

from ollama_policy.formats.json_report import schema
from ollama_policy.model.rule import Example, Severity
from ollama_policy.rules.drift_kinds import KINDS, Drift
from tests.policies.conftest import Command

_MARKED = re.compile(r"«(.*?)»", re.DOTALL)
_URL = "http://127.0.0.1:11434"


def report_of(examples: tuple[Example, ...], tree: Path, command: Command) -> tuple[int, list[dict[str, object]]]:
    """The exit code and the findings of a declaration and a snapshot."""
    from jsonschema import Draft202012Validator

    for example in examples:
        (tree / example.path).write_text(example.text.replace("«", "").replace("»", ""))
    result = command("drift", "models.tf", "--from", "snapshot.json", "--format", "json")
    report = json.loads(result.stdout)
    Draft202012Validator(schema()).validate(report)
    assert (report["undecided"], report["unreadable"]) == ([], [])
    return result.exit_code, report["findings"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_the_bad_example_is_found_at_its_place(kind: type[Drift], tree: Path, command: Command) -> None:
    code, findings = report_of(kind.bad, tree, command)
    (found,) = [one for one in findings if one["rule"] == kind.id]
    assert code == (0 if kind.severity is Severity.INFO else 1)
    assert all(one["rule"] == kind.id for one in findings if one["severity"] == "error")
    assert found["advice"]
    marked = [(example, match) for example in kind.bad for match in _MARKED.finditer(example.text)]
    if not marked:
        assert (found["file"], found["start"], found["end"]) == (_URL, None, None)
        return
    ((example, match),) = marked
    line = example.text.count("\n", 0, match.start()) + 1
    column = match.start() - example.text.rfind("\n", 0, match.start())
    assert (found["file"], found["start"]) == (example.path, {"line": line, "column": column})
    assert found["end"] == {"line": line, "column": column + len(match[1])}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_the_good_example_is_clean(kind: type[Drift], tree: Path, command: Command) -> None:
    code, findings = report_of(kind.good, tree, command)
    assert (code, findings) == (0, [])


def test_ids_and_names_are_in_order_and_unlike() -> None:
    assert [kind.id for kind in KINDS] == [f"OLL5{number:02}" for number in range(1, len(KINDS) + 1)]
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert kind.summary[-1] != "."
        for text in (kind.why, kind.fix):
            assert text.endswith(".")


def test_every_kind_explains_itself(command: Command) -> None:
    assert "OLL504  error    pin-lost" in command("rules").stdout
    assert command("explain", "OLL504").stdout.startswith("# OLL504 pin-lost\n")
