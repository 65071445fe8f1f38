"""What a CI runner obeys comes from nobody's input: not in any format, nor on standard error."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ollama_policy.formats import Format
from ollama_policy.text.escaping import shown, shown_path, without_commands
from ollama_policy.text.streams import Harmless
from tests.policies.conftest import AUTOMATIC, UNDECIDED

pytestmark = pytest.mark.slow

_COMMANDS = (
    "##[stop-commands]abc",
    "##vso[task.setvariable variable=PATH]/tmp",
    "##teamcity[x]",
    "::stop-commands::abc",
)
_NAMES = ("x##[stop-commands]abc", "##vso[x]", "::error::x", "  ::add-mask::e")
_OBEYED = re.compile(r"##[A-Za-z]*\[|(?:^|[\r\n])\s*::", re.MULTILINE)
_OURS = re.compile(r"^::(?:error|warning|notice) (?:file|title)=[^\r\n]*$", re.MULTILINE)


@pytest.fixture
def hostile(tree: Path) -> Path:
    """Commands in names of files and folders, in values, comments, reasons, and in what does not parse."""
    for at, name in enumerate(_NAMES):
        folder = tree / name
        folder.mkdir()
        for number, command in enumerate(_COMMANDS):
            text = AUTOMATIC.replace('"automatic"', f'"automatic" # {command}').replace("chat", f"chat {command}")
            (folder / f"{number}.tf").write_text(text)
        (folder / "u.tf").write_text(UNDECIDED.replace("resource", f"# {_COMMANDS[at]}\nresource"))
        (folder / "broken.tf").write_text(AUTOMATIC + f"\n{_COMMANDS[at]}\n")
    return tree


def _ran(*arguments: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ollama_policy", *arguments], capture_output=True, timeout=120, check=False
    )
    assert done.returncode in (0, 1, 2)
    return done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("form", list(Format))
def test_no_format_carries_a_command(hostile: Path, form: Format) -> None:
    out, err = _ran("check", ".", "--format", form.value, "-v")
    written = _ran("check", ".", "--format", form.value, "-o", "report", "-v")
    assert (hostile / "report").read_text() == out
    for text in (out, err, *written):
        foreign = _OURS.sub(lambda found: found[0][2:], text) if form is Format.GITHUB else text
        assert _OBEYED.search(foreign) is None
    assert "stop-commands" in out or form is Format.OPENMETRICS


@pytest.mark.parametrize("form", [Format.JSON, Format.GITLAB])
def test_json_means_what_it_meant(hostile: Path, form: Format) -> None:
    out, _ = _ran("check", ".", "--format", form.value)
    assert "/x##[stop-commands]abc/" in json.dumps(json.loads(out)).replace('"x##', '"/x##')


def test_xml_is_xml(hostile: Path) -> None:
    out, _ = _ran("check", ".", "--format", "junit")
    ElementTree.fromstring(out)  # noqa: S314 - it is ours


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "no##[stop-commands]x"),
        ("check", ".", "--select", "##vso[x]"),
        ("check", ".", "--baseline", "##[x]"),
        ("check", ".", "--config", "\n::add-mask::x"),
        ("check", ".", "-o", "no/\r::add-mask::x"),
        ("check", ".", "--format", "##[group]"),
        ("baseline", "##[x].json"),
        ("explain", "##[x]"),
        ("drift", "--host", "##[x]"),
        ("drift", "--hosts-file", "\n::add-mask::x"),
        ("fit", "--from", "##[x]"),
        ("logs", "::error::x"),
        ("report", "--from", "##[x]"),
        ("remedies", "##[x]", "--host", "http://127.0.0.1:9"),
        ("reclaim", "##[x]", "--host", "http://127.0.0.1:9"),
        ("probe", "##[x]", "--host", "http://127.0.0.1:9"),
    ],
    ids=" ".join,
)
def test_no_command_reaches_the_terminal(hostile: Path, arguments: tuple[str, ...]) -> None:
    for text in _ran(*arguments):
        assert _OBEYED.search(text) is None


def test_a_diff_is_whole_or_left_out(hostile: Path) -> None:
    (hostile / "plain.tf").write_text(AUTOMATIC)
    out, _ = _ran("check", ".", "--diff", "--select", "OLL001")
    assert _OBEYED.search(out) is None
    assert "+++ b/plain.tf" in out
    assert "its diff is left out" in out


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_way_out_is_closed(command: str) -> None:
    for before in ("", " ", "\u3000", "\t", "a\n", "a\r", "a\r\n\n "):
        assert _OBEYED.search(without_commands(before + command)) is None
        assert _OBEYED.search(without_commands(f"<a>{before}{command}")) is None
    assert _OBEYED.search(shown_path(command)) is None
    assert _OBEYED.search(shown_path(" " + command)) is None
    assert "##[" not in shown("x" + command)
    assert shown("# a ## b [c] a::b") == "# a ## b [c] a::b"


def test_a_stream_knows_where_a_line_begins() -> None:
    stream = io.StringIO()
    harmless = Harmless(stream)
    for text in ("a", "::b::", "\n", " ", "::c::", "\r", "::d::\n", "e\n::f::", "##[g]"):
        harmless.write(text)
    assert stream.getvalue() == "a::b::\n \\u003a:c::\r\\u003a:d::\ne\n\\u003a:f::#\\u0023[g]"
