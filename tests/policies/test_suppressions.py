"""Comments that accept a finding."""

from datetime import date

import pytest

from ollama_policy.model.settings import SourceFile
from ollama_policy.pipeline.suppressions import suppressions_in

KNOWN = {"OLL001", "OLL002", "OLL101"}
TODAY = date(2026, 6, 1)


@pytest.mark.parametrize(
    ("line", "ids", "until", "reason"),
    [
        ("x = 1 # ollama-policy: ignore[OLL001] because", ("OLL001",), None, "because"),
        ("x = 1 // ollama-policy: ignore[OLL001] because", ("OLL001",), None, "because"),
        ("x = 1 -- ollama-policy: ignore[OLL001] because", ("OLL001",), None, "because"),
        ("; ollama-policy: ignore[oll001, OLL101] both", ("OLL001", "OLL101"), None, "both"),
        ("<!-- ollama-policy: ignore[OLL001] because -->", ("OLL001",), None, "because"),
        ("/* ollama-policy: ignore[OLL001] because */", ("OLL001",), None, "because"),
        ("{{/* ollama-policy: ignore[OLL001] because */}}", ("OLL001",), None, "because"),
        ("{# ollama-policy: ignore[OLL001] because #}", ("OLL001",), None, "because"),
        ("#ollama-policy:ignore[OLL001] until=2027-01-31 wait", ("OLL001",), date(2027, 1, 31), "wait"),
        ("\ufeff# ollama-policy: ignore[OLL001] because\r", ("OLL001",), None, "because"),
    ],
)
def test_any_comment_carries_one(line: str, ids: tuple[str, ...], until: date | None, reason: str) -> None:
    (found,) = suppressions_in(SourceFile("f", f"{line}\nnext".encode()), KNOWN)
    assert (found.ids, found.until, found.reason, found.problem) == (ids, until, reason, "")


@pytest.mark.parametrize(
    "line",
    [
        'x = "ollama-policy: ignore[OLL001] in a text"',
        "ollama-policy: ignore[OLL001] no comment",
        "# ollama-policy is a program",
        "# ollama-policy: ignored",
        "# ollama-policy: ignore[OLL001",
    ],
)
def test_what_is_no_suppression(line: str) -> None:
    assert suppressions_in(SourceFile("f", line.encode()), KNOWN) == []


@pytest.mark.parametrize(
    ("comment", "problem", "hint"),
    [
        ("ignore[OLL001]", "it gives no reason", ""),
        ("ignore[OLL001] until=2027-01-31", "it gives no reason", ""),
        ("ignore[] why", "it names no rule", ""),
        ("ignore[OLL010] why", "there is no rule OLL010", "did you mean OLL101?"),
        ("ignore[OLL001] until=soon why", "until=soon is not a date, expected such as until=2027-01-31", ""),
        (
            "ignore[OLL001] until=2027-02-30 why",
            "until=2027-02-30 is not a date, expected such as until=2027-01-31",
            "",
        ),
    ],
)
def test_what_is_wrong_with_one_is_said_at_its_place(comment: str, problem: str, hint: str) -> None:
    file = SourceFile("f", f"x # ollama-policy: {comment}  \n".encode())
    (found,) = suppressions_in(file, KNOWN)
    finding = found.finding(TODAY)
    assert finding is not None
    assert (finding.rule.id, finding.message) == ("OLL901", problem)
    assert hint in finding.advice
    assert file.data[finding.span.start : finding.span.end].decode() == f"ollama-policy: {comment}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a # ollama-policy: ignore[OLL001] r\nb\n", 1),
        ("  # ollama-policy: ignore[OLL001] r\nb\n", 2),
        ("# ollama-policy: ignore[OLL001] r\n# ollama-policy: ignore[OLL002] r\nb\n", 3),
        ("a\nb\n# ollama-policy: ignore[OLL001] r", 4),
    ],
)
def test_it_is_for_its_line_or_alone_for_the_next(text: str, line: int) -> None:
    found = suppressions_in(SourceFile("f", text.encode()), KNOWN)
    assert [one.line for one in found] == [line] * len(found)


def test_it_holds_until_the_end_of_its_day() -> None:
    (found,) = suppressions_in(SourceFile("f", b"# ollama-policy: ignore[OLL001] until=2026-06-01 r"), KNOWN)
    assert not found.is_expired(TODAY)
    assert found.is_expired(date(2026, 6, 2))


def test_a_hostile_line_takes_no_time() -> None:
    data = b"# ollama-policy: ignore[OLL001]" + b" " * 500_000 + b"-" * 500_000 + b"\n" + b"# " * 500_000
    assert len(suppressions_in(SourceFile("f", data), KNOWN)) == 1
    assert (
        suppressions_in(SourceFile("f", b"#" * 1_000_000 + b"ollama-policy: ignore[" + b"[" * 1_000_000), KNOWN) == []
    )
