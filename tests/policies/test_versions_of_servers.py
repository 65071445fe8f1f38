"""A server that is too old, or none of Ollama by its version: each command that looks says so, as an apply does."""

from pathlib import Path

import pytest

from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.policies.conftest import Command
from tests.policies.live_commands import CALLS_THAT_ASK_ALWAYS

TOO_OLD = "Ollama 0.6.3 is too old, 0.6.4 or newer is needed: update the server"


@pytest.mark.parametrize(
    ("version", "words"), [("0.6.3", TOO_OLD), ("banana", "this is not a version of Ollama: 'banana'")]
)
@pytest.mark.parametrize("call", CALLS_THAT_ASK_ALWAYS)
def test_each_look_refuses_it(tree: Path, command: Command, call: str, version: str, words: str) -> None:
    (tree / "models.yaml").write_text("- name: chat\n  memory_management: manual\n")
    with FakeOllamaWithFaults(version) as fake:
        result = command(*call.split(), "--host", fake.url)
    assert result.exit_code == 2, result.output
    assert words in result.stdout + result.stderr
