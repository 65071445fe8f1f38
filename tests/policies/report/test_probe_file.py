"""What a probe wrote is read back as it was, and what is none is refused in one line."""

import json
from typing import Any

import pytest

from ollama_policy.commands.report.probe_file import read
from ollama_policy.errors import UnreadableError
from tests.policies.report.examples import probed


@pytest.mark.parametrize("account", [probed(), probed(cached=3), probed(unseen="box is another machine")])
def test_it_is_read_back(account: Any) -> None:
    assert read(account.as_json().encode()) == account


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": 1}, "a probe of version 1, expected version 2: probe again"),
        ({"model": 3}, "a probe in which $.model is wrong: 3 is not of type 'string'"),
        ({"runner": {}}, "a probe in which $.runner"),
        ({"counts": "all"}, "a probe in which $.counts is wrong"),
        ({"samples": None}, "$.samples: None, expected list"),
        ({"samples": [1]}, "$.samples[0]: 1, expected a sample"),
    ],
)
def test_another_document_is_refused(change: dict[str, Any], expected: str) -> None:
    document = json.loads(probed().as_json()) | change
    with pytest.raises(UnreadableError, match="^" + expected.replace("$", r"\$").replace("[", r"\[")):
        read(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"seconds": -1}, "seconds: -1, expected a number from 0"),
        ({"seconds": float("nan")}, "seconds: nan"),
        ({"seconds": True}, "seconds: True"),
        ({"phase": "sleep"}, "phase: 'sleep', expected one of before, load"),
        ({"server": -5}, "server: -5, expected a whole number from 0"),
        ({"ps_size": 2**70}, "expected a whole number from 0"),
        ({"call": 99}, "which is earlier than the one before it"),
        ({"server": None}, "only some have the figures"),
    ],
)
def test_a_sample_that_is_none(change: dict[str, Any], expected: str) -> None:
    document = json.loads(probed().as_json())
    document["samples"][2] |= change
    with pytest.raises(UnreadableError, match=expected.replace("(", r"\(")):
        read(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"version": 1}'])
def test_no_probe_at_all(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(data)
