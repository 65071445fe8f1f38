"""The formats of services: JUnit, GitHub, GitLab, Markdown, OpenMetrics."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from ollama_policy.formats import Format, github, gitlab, junit, markdown, openmetrics, render
from ollama_policy.formats.writing import Look
from ollama_policy.model.result import Result
from tests.policies.conftest import AUTOMATIC
from tests.policies.formats.conftest import checked


def parsed(text: str) -> "ElementTree.Element[str]":
    return ElementTree.fromstring(text)  # noqa: S314 - our own report


def test_every_format_writes_every_result(everything: Result, hostile: Result) -> None:
    for form in Format:
        for result in (everything, hostile, Result()):
            text = render(form, result, Look())
            assert "\x1b" not in text
            assert "\u202e" not in text or form is Format.JSON
            text.encode("utf-8")


def test_junit(everything: Result) -> None:
    suites = parsed(junit.render(everything))
    assert {key: suites.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    names = [case.get("name") for case in suites.iter("testcase")]
    assert names == [
        "unreadable",
        "OLL001 automatic-without-bound at 3:23",
        "undecided memory_management at 4:23",
    ]


def test_junit_of_a_clean_run_has_a_test_that_passed() -> None:
    (case,) = parsed(junit.render(Result(read=1))).iter("testcase")
    assert list(case) == []


def test_junit_is_xml_whatever_a_name_is(hostile: Result) -> None:
    assert len(list(parsed(junit.render(hostile)).iter("testcase"))) == 5


def test_github(everything: Result) -> None:
    lines = github.render(everything).splitlines()
    assert lines[0].startswith("::error file=e.tf,line=5,col=1,title=unreadable::")
    assert lines[1] == (
        "::error file=a.tf,line=3,col=23,endLine=3,endColumn=34,title=OLL001 automatic-without-bound::"
        'nothing bounds how long "chat" stays in memory'
    )
    assert lines[2] == "::notice file=d.tf,line=4,col=23,title=undecided::var.mode has no default"


def test_github_lets_no_name_give_a_command(hostile: Result) -> None:
    lines = github.render(hostile).splitlines()
    assert len(lines) == 5
    for line in lines:
        assert re.fullmatch(r"::error file=[^:,]+,line=\d+,col=\d+[^:]*::[^\r\n]*", line)
    assert any(
        line.startswith("::error file=a%2Cb%3A%25\\x1b[31m\\r\\n%3A%3Aerror%3A%3A\\u202ec.tf,") for line in lines
    )


def test_gitlab(everything: Result) -> None:
    unreadable, finding = json.loads(gitlab.render(everything))
    assert unreadable["check_name"] == "unreadable"
    assert finding["check_name"] == "OLL001"
    assert finding["severity"] == "major"
    assert finding["location"] == {"path": "a.tf", "lines": {"begin": 3, "end": 3}}


def test_gitlab_knows_a_finding_again_after_an_edit_above_it(tree: Path) -> None:
    def fingerprints() -> list[str]:
        return [one["fingerprint"] for one in json.loads(gitlab.render(checked()))]

    (tree / "a.tf").write_text(AUTOMATIC)
    before = fingerprints()
    (tree / "a.tf").write_text("# a line\n\n" + AUTOMATIC)
    assert fingerprints() == before
    (tree / "a.tf").write_text(AUTOMATIC + AUTOMATIC.replace('"m"', '"n"'))
    assert len(set(fingerprints())) == 2


def test_markdown(everything: Result) -> None:
    text = markdown.render(everything)
    assert "1 error, 0 warnings, 0 info, 1 undecided, 1 unreadable, 2 suppressed, in 5 files" in text
    assert "| <code>a.tf:3:23</code> | error | OLL001 automatic-without-bound |" in text
    assert "- <code>d.tf:4:23</code>: var.mode has no default" in text


def test_markdown_takes_a_name_for_text(tree: Path) -> None:
    (tree / "a|`<img>@you.tf").write_text(AUTOMATIC.replace("chat", "a|b](http://x)"))
    row = next(line for line in markdown.render(checked()).splitlines() if ":3:23" in line)
    assert row.startswith("| <code>a\\|\\`&lt;img&gt;\\@you.tf:3:23</code> |")
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "](http://x)" not in row


def test_openmetrics(everything: Result) -> None:
    lines = openmetrics.render(everything).splitlines()
    assert lines[-1] == "# EOF"
    assert 'ollama_policy_findings{rule="OLL001",name="automatic-without-bound",severity="error"} 1' in lines
    assert "ollama_policy_undecided 1" in lines
    assert "ollama_policy_unreadable 1" in lines
    sample = re.compile(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9]+')
    assert all(sample.fullmatch(line) for line in lines if not line.startswith("#"))
