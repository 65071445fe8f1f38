"""A baseline survives edits, and says what is gone."""

import json

import pytest

from ollama_policy.errors import UnreadableError
from ollama_policy.model.rule import Finding
from ollama_policy.model.settings import SourceFile, Span
from ollama_policy.pipeline.baseline import Baseline, written
from ollama_policy.rules import RULES


def finding(path: str = "a/models.tf", value: str = "automatic", start: int = 0) -> Finding:
    return Finding(RULES[0], "m", SourceFile(path, b"x" * 100), Span(start, start + 1), "ollama_model.m", value=value)


def baseline(*findings: Finding, path: str = "baseline.json") -> Baseline:
    return Baseline(SourceFile(path, written(findings, path).encode()))


def test_it_is_one_entry_a_line_in_order() -> None:
    text = written([finding("b.tf"), finding("a.tf"), finding("a.tf", start=5)], "baseline.json")
    assert text.splitlines()[3:5] == [
        '    {"rule": "OLL001", "file": "a.tf", "address": "ollama_model.m", "value": "automatic", "count": 2},',
        '    {"rule": "OLL001", "file": "b.tf", "address": "ollama_model.m", "value": "automatic", "count": 1}',
    ]
    assert json.loads(text)["version"] == 1
    assert json.loads(written([], "b.json")) == {"version": 1, "findings": []}


def test_lines_do_not_matter_and_values_do() -> None:
    known = baseline(finding(start=3))
    assert known.accepts(finding(start=50))
    assert not known.accepts(finding(start=50)), "one entry accepts one finding"
    assert not baseline(finding()).accepts(finding(value="other"))
    assert not baseline(finding()).accepts(finding("b.tf"))


def test_files_are_relative_to_its_folder() -> None:
    text = written([finding("a/models.tf")], "a/baseline.json")
    assert '"file": "models.tf"' in text
    assert Baseline(SourceFile("a/baseline.json", text.encode())).accepts(finding("a/models.tf"))


def test_what_no_longer_occurs_is_said_at_its_line() -> None:
    known = baseline(finding("a.tf"), finding("b.tf"), finding("b.tf"))
    assert known.accepts(finding("b.tf"))
    gone = known.stale()
    assert [one.message for one in gone] == ["OLL001 in a.tf no longer occurs", "OLL001 in b.tf no longer occurs"]
    written_at = [one.file.data[one.span.start : one.span.end].decode() for one in gone]
    assert [json.loads(text)["file"] for text in written_at] == ["a.tf", "b.tf"]
    assert known.stale(looked_at=["b.tf"]) == gone[1:], "what was not looked at may still be there"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 2, "findings": []}',
        b'{"version": 1}',
        b'{"version": 1, "findings": [1]}',
        b'{"version": 1, "findings": [{"rule": "OLL001"}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_baseline_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        Baseline(SourceFile("baseline.json", data))
