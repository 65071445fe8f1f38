"""Each format's whole report of a result with one of everything."""

from pathlib import Path

import pytest

from ollama_policy.formats import Format, render
from ollama_policy.formats.writing import Look, tool_version
from ollama_policy.model.result import Result
from tests.snapshot import Snapshots

_FILES = {
    Format.TEXT: "text.txt",
    Format.JSON: "report.json",
    Format.SARIF: "report.sarif",
    Format.JUNIT: "junit.xml",
    Format.GITHUB: "github.txt",
    Format.GITLAB: "gitlab.json",
    Format.MARKDOWN: "summary.md",
    Format.OPENMETRICS: "openmetrics.txt",
}


@pytest.mark.parametrize("form", Format)
def test_the_whole_report(everything: Result, form: Format, snapshots: Snapshots) -> None:
    text = render(form, everything, Look())
    text = text.replace(tool_version(), "VERSION").replace(str(Path.cwd()), "/folder")
    snapshots.match(f"check/{_FILES[form]}", text)


def test_the_whole_report_in_a_terminal(everything: Result, snapshots: Snapshots) -> None:
    text = render(Format.TEXT, everything, Look(has_colour=True, is_verbose=True))
    snapshots.match("check/terminal.txt", text.replace("\x1b", "ESC"))
