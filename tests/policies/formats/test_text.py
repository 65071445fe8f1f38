"""What a person reads, to the letter."""

from pathlib import Path

import pytest

from ollama_policy.formats.text import render
from ollama_policy.formats.writing import Look
from ollama_policy.model.result import Reported, Result
from ollama_policy.model.rule import Finding, Fix, Severity
from ollama_policy.model.settings import Edit, SourceFile, Span
from ollama_policy.rules import RULES
from tests.policies.formats.conftest import checked

DOCUMENT = """\
resource "ollama_model" "my_model" {
  name = "example-model"
  memory_management = "automatic"
}
"""


def test_the_documents_own_block(tree: Path) -> None:
    (tree / "infra").mkdir()
    (tree / "infra/models.tf").write_text(DOCUMENT)
    assert render(checked(), Look()) == (
        'infra/models.tf:3:23 error OLL001 automatic-without-bound: nothing bounds how long "example-model" stays in '
        "memory\n"
        '  |   memory_management = "automatic"\n'
        "  |                       ^^^^^^^^^^^ release is left to the server's default and to every client\n"
        '  = fix: - memory_management = "automatic"\n'
        '         + memory_management = "manual"          (or: keep_alive = "5m")\n'
        "         the next apply pins it until you release it\n"
        "  = why: ollama-policy explain OLL001\n"
        "1 error, 0 warnings, 0 undecided, 0 suppressed, in 1 file\n"
    )


def test_everything(everything: Result) -> None:
    lines = render(everything, Look()).splitlines()
    assert lines[0].startswith("e.tf:5:1 unreadable: ")
    assert lines[-1] == (
        "1 error, 0 warnings, 1 unreadable, 1 undecided (d.tf:4:23 var.mode has no default), 2 suppressed, in 5 files"
    )
    verbose = render(everything, Look(is_verbose=True)).splitlines()
    assert "d.tf:4:23 undecided: memory_management of ollama_model.u: var.mode has no default" in verbose
    assert verbose[-1].endswith("1 undecided, 2 suppressed, in 5 files")


def test_nothing_in_a_name_or_content_reaches_the_terminal(hostile: Result) -> None:
    text = render(hostile, Look(is_verbose=True))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\r" not in text
    assert not any(line.startswith("::") for line in text.splitlines())
    assert "a,b:%\\x1b[31m\\r\\n::error::\\u202ec.tf:3:23 error OLL001" in text
    assert "\\xff.tf:3:23 error" in text
    assert "./::error::.tf:3:23 error" in text


def test_colour_and_links_only_where_they_are_asked_for(everything: Result) -> None:
    assert "\x1b" not in render(everything, Look())
    coloured = render(everything, Look(has_colour=True, has_links=True))
    assert "\x1b[1;31merror\x1b[0m" in coloured
    assert "\x1b]8;;file:///" in coloured
    assert "\x1b[0m\x1b]8;;\x1b\\ " in coloured, "the link ends with the place"


def excerpt(text: str, start: int, end: int, **more: object) -> list[str]:
    file = SourceFile("f.tf", text.encode())
    finding = Finding(RULES[0], "m", file, Span(start, end), "a", **more)  # type: ignore[arg-type]
    result = Result(findings=[Reported(finding, Severity.ERROR)], searched=1, read=1)
    return render(result, Look()).splitlines()[1:-2]


@pytest.mark.parametrize(
    ("text", "wrong", "line", "carets"),
    [
        ("x = bad", "bad", "x = bad", "    ^^^"),
        ("\tx = bad", "bad", "    x = bad", "        ^^^"),
        ("ab\tbad", "bad", "ab  bad", "    ^^^"),
        ("名前 = bad", "bad", "名前 = bad", "       ^^^"),
        ("x = 名前", "名前", "x = 名前", "    ^^^^"),
        ("e\u0301 = bad", "bad", "e\u0301 = bad", "    ^^^"),
        ("\x1b = bad", "bad", "\\x1b = bad", "       ^^^"),
        ("\ufeffx = bad", "bad", "x = bad", "    ^^^"),
        ("x = bad\r", "bad", "x = bad", "    ^^^"),
    ],
)
def test_carets_stand_under_what_is_wrong(text: str, wrong: str, line: str, carets: str) -> None:
    at = text.encode().index(wrong.encode())
    assert excerpt(text + "\n", at, at + len(wrong.encode()))[:2] == [f"  | {line}", f"  | {carets}"]


def test_an_empty_range_and_one_over_lines_have_carets_too() -> None:
    assert excerpt("abc\n", 3, 3)[:2] == ["  | abc", "  |    ^"]
    assert excerpt("", 0, 0)[:2] == ["  |", "  | ^"]
    assert excerpt("x = <<E\nb\nE\n", 4, 11)[:2] == ["  | x = <<E", "  |     ^^^"]


def test_of_a_long_line_the_part_around_the_range_is_shown() -> None:
    line, carets = excerpt("a" * 50_000 + "bad" + "c" * 50_000, 50_000, 50_003)[:2]
    assert len(line) < 180
    at = carets.index("^")
    assert (line[at : at + 3], line[4], line[-1]) == ("bad", "…", "…")


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(0, 0, "y = 1\n")], ["  = fix: + y = 1"]),
        ([(5, 5, "\n  y = 1")], ["  = fix: + y = 1"]),
        (
            [(4, 5, "2"), (10, 11, "3")],
            ["  = fix: - x = 1", "         - z = 1", "         + x = 2", "         + z = 3"],
        ),
        ([(0, 6, "")], ["  = fix: - x = 1"]),
    ],
)
def test_a_fix_is_the_lines_that_go_and_come(edits: list[tuple[int, int, str]], shown: list[str]) -> None:
    file = SourceFile("f.tf", b"x = 1\nz = 1\n")
    fix = Fix("t", tuple(Edit(file, Span(start, end), text) for start, end, text in edits))
    finding = Finding(RULES[0], "m", file, Span(0, 1), "a", fixes=(fix,))
    result = Result(findings=[Reported(finding, Severity.ERROR)], searched=1, read=1)
    assert render(result, Look()).splitlines()[3:-2] == shown


def test_a_fix_elsewhere_names_its_file() -> None:
    other = SourceFile("variables.tf", b'default = "x"\n')
    fix = Fix("t", (Edit(other, Span(10, 13), '"y"'),))
    assert excerpt("x = bad\n", 4, 7, fixes=(fix,))[2:] == [
        "  = fix: in variables.tf:",
        '         - default = "x"',
        '         + default = "y"',
    ]


def test_without_an_edit_the_advice_is_given() -> None:
    assert excerpt("x = bad\n", 4, 7, advice="do this")[2:] == ["  = fix: do this"]


def test_nothing_to_look_at_is_said() -> None:
    assert render(Result(), Look()) == "nothing to look at: no file here can hold Ollama settings\n"
    assert render(Result(searched=3), Look()).endswith("in 0 files (3 files searched, none with Ollama settings)\n")
