"""Reading back what `bench` wrote, and what is said of a file that is none."""

import json
from typing import Any

import pytest

from ollama_policy.commands.bench.table import as_json
from ollama_policy.commands.report.benching import read, sentence, table
from ollama_policy.errors import UnreadableError
from tests.policies.report.examples import compared
from tests.schemas import valid


def test_what_was_written_is_read() -> None:
    text = as_json(compared(12, 30))
    valid("bench", text)
    assert as_json(read(text.encode())) == text
    assert sentence(read(text.encode())).startswith("chat:latest, 8 rounds for each side, 1 at once: gain = ")
    assert table(read(text.encode())).rows[0] == ("QPS", "12.00", "30.00")


def test_no_gain_and_no_difference() -> None:
    found = compared(12, 12)
    assert "no difference shown" in sentence(found)
    document = json.loads(as_json(found)) | {"gain": None}
    assert "one side answered nothing" in sentence(read(json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, 'no comparison, expected an object with "version": 1'),
        ({"old": {}}, "a comparison in which $.old is wrong: 'name' is a required property"),
        ({"gain": 1}, "a comparison in which $.gain is wrong"),
        ({"rounds": "8"}, "a comparison in which $.rounds is wrong: '8' is not of type 'integer'"),
    ],
)
def test_what_is_no_comparison_is_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UnreadableError) as told:
        read(json.dumps(json.loads(as_json(compared(12, 30))) | change).encode())
    assert words in str(told.value)


@pytest.mark.parametrize("data", [b"", b"[", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_one_line(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="no JSON"):
        read(data)
