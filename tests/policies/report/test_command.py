"""The command from a probe's file: three formats, exit codes, and bad input in one line."""

from pathlib import Path

import pytest

from ollama_policy.commands.report.command import Request, run
from ollama_policy.errors import CannotLookError
from tests.policies.report.examples import NOW, probed


@pytest.fixture
def probe_file(tmp_path: Path) -> str:
    file = tmp_path / "probe.json"
    file.write_text(probed(60).as_json())
    return str(file)


@pytest.mark.parametrize(
    ("form", "start"), [("html", "<!DOCTYPE html>"), ("svg", "<?xml"), ("markdown", "# Memory of")]
)
def test_each_format_is_the_same_each_time(probe_file: str, tmp_path: Path, form: str, start: str) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        assert run(Request(from_file=probe_file, form=form, output=str(file)), NOW) == 0
    assert files[0].read_text().startswith(start)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_leak_and_findings_are_1(probe_file: str, tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    leaking = tmp_path / "leak.json"
    leaking.write_text(probed(60, growth=1).as_json())
    assert run(Request(from_file=str(leaking), output=output), NOW) == 1
    source = tmp_path / "main.tf"
    source.write_text('resource "ollama_model" "m" {\n  name = "<b>&\\"m"\n  keep_alive = "-1"\n}\n')
    assert run(Request((str(source),), from_file=probe_file, output=output), NOW) == 1
    assert "<b>" not in Path(output).read_text()


def test_what_cannot_be_looked_at_is_2_and_in_the_page(probe_file: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert run(Request((str(tmp_path / "none"),), from_file=probe_file, output=str(output)), NOW) == 2
    assert "Could not be looked at" in output.read_text()
    request = Request(host="127.0.0.1:1", from_file=probe_file, output=str(output))
    assert run(request, NOW) == 2
    assert "could not be looked at: no connection" in output.read_text()
    unseen = tmp_path / "unseen.json"
    unseen.write_text(probed(unseen="box is another machine").as_json())
    assert run(Request(from_file=str(unseen), output=str(output)), NOW) == 2
    assert "whether it leaks is not known: box is another machine" in output.read_text()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(model="m", from_file="f"), "give one of them"),
        (Request(form="svg", host="box"), "give --model, or --from"),
        (Request(model="a b", host="box"), "--model a b: its model 'a b' has a character"),
        (Request(model="m"), "name the server with --host URL, or OLLAMA_HOST"),
        (Request(from_file="/none.json"), "cannot read /none.json: No such file"),
        (Request(from_file="/"), "cannot read /: "),
        (Request(host="http://box:x", model="m"), "host: found an address that cannot be used"),
    ],
)
def test_bad_input_is_one_line(monkeypatch: pytest.MonkeyPatch, request_: Request, expected: str) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    with pytest.raises(CannotLookError) as caught:
        run(request_)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
