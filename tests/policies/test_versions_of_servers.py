"""A server that is too old, or none of Ollama by its version: each command that looks says so, as an apply does."""

from pathlib import Path

import pytest

from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.policies.conftest import Command

TOO_OLD = "Ollama 0.6.3 is too old, 0.6.4 or newer is needed: update the server"


@pytest.mark.parametrize(
    ("version", "words"), [("0.6.3", TOO_OLD), ("banana", "this is not a version of Ollama: 'banana'")]
)
@pytest.mark.parametrize(
    "arguments",
    [
        "drift",
        "fit .",
        "remedies",
        "reclaim --plan",
        "reclaim --reload m --plan",
        "probe m --plan",
        "probe m",
        "bench pinned m --plan",
        "report",
        "adopt",
    ],
)
def test_each_look_refuses_it(tree: Path, command: Command, arguments: str, version: str, words: str) -> None:
    (tree / "models.yaml").write_text("- name: m\n  memory_management: manual\n")
    with FakeOllamaWithFaults(version) as fake:
        result = command(*arguments.split(), "--host", fake.url)
    assert result.exit_code == 2, result.output
    assert words in result.stdout + result.stderr
