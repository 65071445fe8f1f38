"""Progress for a log, and what a probe that is cut off says."""

import pytest

from ollama_policy.commands.probe import command
from ollama_policy.commands.probe.probing import Sample
from tests.policies.report.examples import probed


def test_where_no_person_looks_a_line_is_written_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    samples: list[Sample] = []
    watch = command._watching(samples, 600)
    given = probed(600).samples  # ten calls a second
    for one in given:
        watch(one)
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert [line.split(" calls, ")[0] for line in lines] == [
        "different: 140 of 600",
        "different: 290 of 600",
        "repeated: 440 of 600",
        "repeated: 590 of 600",
    ]
    assert lines[0].endswith(" MiB held")
    assert samples == list(given)


def test_a_short_probe_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    watch = command._watching([], 60)
    for one in probed(60).samples:
        watch(one)
    assert capsys.readouterr().err == ""
