"""A report in a file: standard error says why the exit code is not 0."""

from pathlib import Path

from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.policies.conftest import Command


def test_what_was_found_is_said(tree: Path, command: Command) -> None:
    (tree / "ollama.env").write_text("OLLAMA_KEEP_ALIVE=1x\n")
    with FakeOllamaWithFaults() as fake:
        result = command("report", ".", "-o", "report.md", "--host", fake.url)
    assert result.exit_code == 1, result.output
    assert "report.md: " in result.stderr
    assert "1 finding in the sources." in result.stderr


def test_what_could_not_be_looked_at_is_said(tree: Path, command: Command) -> None:
    (tree / "main.tf").write_text('resource "ollama_model" "m" {\n')
    with FakeOllamaWithFaults() as fake:
        result = command("report", ".", "-o", "report.md", "--host", fake.url)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("main.tf unreadable: ")
    assert result.stderr.count("\n") == 1
