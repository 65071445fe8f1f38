"""The pipeline: what is decided is reported at its place, what is not is counted, and a defect costs one file."""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ollama_policy.formats import Format, render
from ollama_policy.formats.writing import Look
from ollama_policy.model.result import Result
from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.settings import Kind, Position, Subject
from ollama_policy.pipeline import kinds_of_files
from ollama_policy.pipeline.check import Options, check
from ollama_policy.pipeline.configuration import Configuration, parse
from ollama_policy.rules.automatic_without_bound import AutomaticWithoutBound
from tests.policies.conftest import AUTOMATIC, MANUAL, UNDECIDED

TODAY = date(2026, 6, 1)


class Raises(Rule):
    id = "OLL801"
    name = "raises"
    severity = Severity.ERROR
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset()

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        raise RuntimeError("a defect")


def test_a_version_that_is_newer_than_all_known_is_treated_as_the_newest_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  ollama:\n    image: ollama/ollama:0.99.1\n", encoding="utf-8")
    said = "Ollama 0.99.1 is newer than 0.34.3, the newest known version: treated like it"
    result = check([str(tmp_path)], Options(()))
    assert result.remarks == [said]
    assert f"note: {said}\n" in render(Format.TEXT, result, Look())
    assert json.loads(render(Format.JSON, result, Look()))["remarks"] == [said]


class SeesAll(Rule):
    id = "OLL802"
    name = "sees-all"
    severity = Severity.WARNING
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset()
    fix = "nothing"

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        if len(subjects) > 1:
            yield self.about(subjects[-1], f"{len(subjects)} models")


def run(*paths: str, rules: Sequence[type[Rule]] = (AutomaticWithoutBound,), **table: Any) -> Result:
    configuration = parse(table) if table else Configuration()
    return check(paths or ["."], Options(rules=rules, configuration=configuration, today=lambda: TODAY))


def findings(result: Result) -> list[tuple[str, str, int]]:
    return [(one.finding.rule.id, one.finding.file.path, one.start.line) for one in result.findings]


def test_findings_are_in_order_of_file_and_place(tree: Path) -> None:
    for name in ("b.tf", "a.tf"):
        (tree / name).write_text(AUTOMATIC + AUTOMATIC.replace('"m"', '"n"'))
    result = run()
    assert findings(result) == [
        ("OLL001", "a.tf", 3),
        ("OLL001", "a.tf", 7),
        ("OLL001", "b.tf", 3),
        ("OLL001", "b.tf", 7),
    ]
    assert (result.read, result.searched, result.exit_code()) == (2, 2, 1)
    first = result.findings[0]
    assert first.finding.file.data[first.finding.span.start : first.finding.span.end] == b'"automatic"'
    assert (first.start, first.end) == (Position(3, 23), Position(3, 34))


def test_what_cannot_be_decided_is_counted_with_its_reason(tree: Path) -> None:
    (tree / "a.tf").write_text(UNDECIDED)
    result = run()
    (one,) = result.undecided
    assert (one.key, one.reason, one.start) == ("memory_management", "var.mode has no default", Position(4, 23))
    assert one.file.data[one.span.start : one.span.end] == b"var.mode"
    assert (result.exit_code(), result.exit_code(is_strict=True)) == (0, 1)


def test_it_is_counted_only_where_a_selected_rule_is_about_it(tree: Path) -> None:
    (tree / "a.tf").write_text(UNDECIDED)
    assert run(ignore=["OLL0"]).undecided == []
    assert run(rules=[SeesAll]).undecided == []


def test_one_that_is_suppressed_is_not_counted_and_the_suppression_is_used(tree: Path) -> None:
    (tree / "a.tf").write_text(UNDECIDED.replace("var.mode\n", "var.mode # ollama-policy: ignore[OLL001] by a team\n"))
    result = run()
    assert (result.undecided, findings(result)) == ([], [])


def test_a_rule_that_raises_costs_its_file(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    result = run(rules=[Raises, AutomaticWithoutBound])
    assert [one.message for one in result.unreadable] == ["internal error in OLL801: RuntimeError: a defect"]
    assert result.unreadable[0].is_internal
    assert findings(result) == [("OLL001", "a.tf", 3)]
    assert result.exit_code() == 2


@pytest.mark.parametrize("error", [RuntimeError("a defect"), RecursionError(), MemoryError(), ImportError("gone")])
def test_a_source_that_raises_costs_its_file(tree: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    (tree / "b.tf").write_text(AUTOMATIC)
    source = kinds_of_files.sources_of("a.tf")[0].source
    real = source.read

    def read(file: object, workspace: object) -> object:
        if getattr(file, "path", "") == "a.tf":
            raise error
        return real(file, workspace)  # type: ignore[arg-type]

    monkeypatch.setattr(source, "read", read)
    result = run()
    (problem,) = result.unreadable
    assert problem.path == "a.tf"
    assert problem.message.startswith(f"internal error in terraform.hcl: {type(error).__name__}")
    assert findings(result) == [("OLL001", "b.tf", 3)]


def test_rules_of_the_whole_tree_see_all_subjects(tree: Path) -> None:
    (tree / "a.tf").write_text(MANUAL)
    (tree / "b.tf").write_text(MANUAL)
    (one,) = run(rules=[SeesAll]).findings
    assert (one.finding.message, one.finding.file.path) == ("2 models", "b.tf")


def test_the_same_place_is_reported_once(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC.replace("{\n", "{\n  count = 3\n", 1))
    assert findings(run()) == [("OLL001", "a.tf", 4)]


# What somebody accepted.


def accepted(comment: str, tree: Path) -> Result:
    (tree / "a.tf").write_text(AUTOMATIC.replace('"automatic"', f'"automatic" {comment}'))
    return run()


def test_a_suppressed_finding_is_counted_with_its_reason(tree: Path) -> None:
    result = accepted("# ollama-policy: ignore[OLL001] the team knows", tree)
    assert [(one.finding.rule.id, one.accepted) for one in result.accepted] == [("OLL001", "the team knows")]
    assert (result.findings, result.exit_code()) == ([], 0)


@pytest.mark.parametrize(
    ("comment", "ids"),
    [
        ("# ollama-policy: ignore[OLL001]", ["OLL001", "OLL901"]),
        ("# ollama-policy: ignore[OLL999] why", ["OLL001", "OLL901"]),
        ("# ollama-policy: ignore[OLL001] until=2026-05-31 why", ["OLL001", "OLL902"]),
        ("# ollama-policy: ignore[OLL001] until=2026-06-01 why", []),
    ],
)
def test_one_that_does_not_count_is_a_finding(tree: Path, comment: str, ids: list[str]) -> None:
    assert [one.finding.rule.id for one in accepted(comment, tree).findings] == ids


def test_an_unused_one_is_a_finding_where_its_rule_was_asked(tree: Path) -> None:
    (tree / "a.tf").write_text("# ollama-policy: ignore[OLL001] why\n" + MANUAL)
    assert findings(run()) == [("OLL903", "a.tf", 1)]
    assert findings(run(ignore=["OLL001"])) == []
    assert findings(run(ignore=["OLL903"])) == []


def test_one_for_the_whole_tree_is_unused_only_where_all_of_it_was_given(tree: Path) -> None:
    (tree / "a.tf").write_text("# ollama-policy: ignore[OLL802] why\n" + MANUAL)
    assert findings(run("a.tf", rules=[SeesAll])) == []
    assert findings(run(".", rules=[SeesAll])) == [("OLL903", "a.tf", 1)]


def test_one_in_a_file_that_could_not_be_read_is_not_called_unused(tree: Path) -> None:
    (tree / "a.tf").write_text("# ollama-policy: ignore[OLL001] why\n" + AUTOMATIC + "}")
    result = run()
    assert (findings(result), len(result.unreadable)) == ([], 1)


def test_rules_are_ignored_by_path(tree: Path) -> None:
    for name in ("examples/deep/a.tf", "infra/a.tf"):
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text(AUTOMATIC)
    table: dict[str, Any] = {"per-path-ignores": {"examples/": ["OLL0"]}}
    assert findings(run(**table)) == [("OLL001", "infra/a.tf", 3)]


def test_what_is_excluded_is_not_read(tree: Path) -> None:
    for name in ("vendor/a.tf", "infra/a.tf"):
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text(AUTOMATIC)
    result = run(exclude=["vendor"])
    assert (findings(result), result.searched) == ([("OLL001", "infra/a.tf", 3)], 1)


def test_severities_are_the_configurations(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    result = run(severity={"OLL0": "error", "OLL001": "info"})
    assert [one.severity for one in result.findings] == [Severity.INFO]
    assert (result.exit_code(), result.exit_code(Severity.INFO)) == (0, 1)


def test_nothing_to_look_at_is_told_from_clean(tree: Path) -> None:
    (tree / "a.md").write_text("ollama")
    assert run().exit_code() == 3
    (tree / "a.tf").write_text("# nothing of ours")
    result = run()
    assert (result.exit_code(), result.searched, result.read) == (0, 1, 0)


def test_progress_is_told(tree: Path) -> None:
    for index in range(130):
        (tree / f"{index}.tf").write_text("")
    told: list[tuple[int, int]] = []
    options = Options(rules=[], progress=lambda done, total: told.append((done, total)))
    check(["."], options._replace(today=lambda: TODAY))
    assert told == [(0, 130), (64, 130), (128, 130), (130, 130)]
