"""Whatever a file is: one clear message, exit 2, and the other files are checked all the same."""

import os
import time
from pathlib import Path

import pytest

from ollama_policy.formats import Format
from ollama_policy.formats import render as report
from ollama_policy.formats.text import render
from ollama_policy.formats.writing import Look
from tests.policies.conftest import AUTOMATIC, MANUAL
from tests.policies.formats.conftest import checked
from tests.promptness import assert_took_less

YAML = 'memory_management: "automatic"\n'


def deep(opening: str, closing: str, middle: str = "") -> str:
    return opening * 10_000 + middle + closing * 10_000


@pytest.mark.parametrize(
    ("name", "data", "place"),
    [
        ("bad.tf", AUTOMATIC[:-2], ""),
        ("bad.tf", AUTOMATIC + "}", "5:1"),
        ("bad.tf", b"\0\1\2\3", ""),
        ("bad.tf", AUTOMATIC.encode("utf-16"), ""),
        ("bad.tf", b'# ollama_model\nresource "ollama_model" "\xff" {}\n', "2:26"),
        ("bad.tf.json", '{"resource": {"ollama_model": ', ""),
        ("bad.tf.json", '{"resource": {"ollama_model": ' + deep('{"a":', "}", "1"), ""),
        ("bad.yaml", 'memory_management: "automatic\n', ""),
        ("bad.yaml", "memory_management: " + deep("[", "]"), ""),
        ("bad.json", '{"memory_management": "automatic"', ""),
        ("bad.json", '{"memory_management": ' + deep("[", "]") + "}", ""),
        ("bad.toml", 'memory_management = "automatic', ""),
        ("bad.py", "from ollama_provider import OllamaModel\nOllamaModel(", ""),
        ("bad.py", "from ollama_provider import OllamaModel\nx = " + deep("(", ")"), ""),
    ],
)
def test_it_is_said_once_and_the_rest_is_checked(tree: Path, name: str, data: str | bytes, place: str) -> None:
    (tree / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    (tree / "good.tf").write_text(AUTOMATIC)
    result = checked()
    (problem,) = result.unreadable
    assert (problem.path, problem.is_internal) == (name, False), problem.message
    if place:
        assert problem.place is not None
        assert f"{problem.place.line}:{problem.place.column}" == place
    assert [one.finding.file.path for one in result.findings] == ["good.tf"]
    assert result.exit_code() == 2
    assert render(result, Look()).count(" unreadable: ") == 1


@pytest.mark.parametrize("form", Format)
def test_half_of_a_surrogate_pair_is_shown_escaped_in_every_format(tree: Path, form: Format) -> None:
    text = "from ollama_provider import OllamaModel\nOllamaModel('m', name='\\ud800', memory_management='manual')\n"
    (tree / "__main__.py").write_text(text)
    assert [one.finding.rule.id for one in checked().findings] == ["OLL002"]
    assert "\ud800" not in report(form, checked(), Look())


def test_a_deep_expression_is_undecided_at_its_place(tree: Path) -> None:
    (tree / "deep.tf").write_text(MANUAL.replace('"manual"', deep("[", "]")))
    result = checked()
    assert [(one.start.line, one.start.column) for one in result.undecided] == [(3, 23)]
    assert result.exit_code(is_strict=True) == 1


def test_an_alias_bomb_costs_neither_time_nor_memory(tree: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)]
    (tree / "bomb.yaml").write_text(YAML + "\n".join(lines) + "\n")
    (tree / "good.tf").write_text(AUTOMATIC)
    start = time.monotonic()
    result = checked()
    assert_took_less(5, start)
    assert not any(one.is_internal for one in result.unreadable)
    assert "good.tf" in [one.finding.file.path for one in result.findings]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.tf", "# ollama " + "a" * 300_000 + "!"),
        ("a.tf", f'resource "ollama_model" "m" {{ name = "{"a" * 300_000}" }}'),
        ("a.sh", "#!/bin/sh\n# ollama\n" + "export A=" + "'\"" * 100_000),
        (".env.ollama", "OLLAMA_HOST=" + " " * 300_000 + "x\n" + "\\" * 100_000),
        ("Dockerfile", "FROM ollama/ollama\nENV " + "A=" * 100_000),
        ("ollama.service", "[Service]\nEnvironment=" + '"' * 200_001),
        ("Modelfile", "FROM ollama\nPARAMETER " + " " * 300_000),
        ("a.yaml", "memory_management: " + "- " * 100_000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_regex_hostile_line_takes_no_time(tree: Path, name: str, line: str) -> None:
    (tree / name).write_text(line + "\n")
    start = time.monotonic()
    result = checked()
    render(result, Look())
    assert_took_less(5, start)
    assert not any(one.is_internal for one in result.unreadable), result.unreadable


@pytest.mark.parametrize(
    "name", ["new\nline.tf", "esc\x1b[31m.tf", "right\u202eleft.tf", "-rf.tf", os.fsdecode(b"\xff\xfe.tf")]
)
def test_any_name_is_checked_and_shown_harmless(tree: Path, name: str) -> None:
    (tree / name).write_text(AUTOMATIC)
    result = checked()
    assert [one.finding.file.path for one in result.findings] == [name]
    text = render(result, Look())
    assert text.count("\n") == 8
    assert not any(mark in text for mark in "\x1b\u202e\udcff")


def test_all_at_once_and_the_good_one_is_still_found(tree: Path) -> None:
    (tree / "good.tf").write_text(AUTOMATIC)
    (tree / "broken.tf").write_text(AUTOMATIC + "}")
    (tree / "binary.tf").write_bytes(b"\0" * 100)
    (tree / "loop.tf").symlink_to("loop.tf")
    os.mkfifo("fifo.tf")
    with (tree / "large.tf").open("wb") as stream:
        stream.truncate(100_000_000)
    result = checked()
    assert [one.path for one in result.unreadable] == ["binary.tf", "broken.tf", "fifo.tf", "large.tf", "loop.tf"]
    assert [one.finding.file.path for one in result.findings] == ["good.tf"]
