"""A folder to check that is also the working folder, and the command line in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ollama_policy.cli import cli

AUTOMATIC = 'resource "ollama_model" "m" {\n  name              = "chat"\n  memory_management = "automatic"\n}\n'
MANUAL = AUTOMATIC.replace("automatic", "manual")
UNDECIDED = (
    'variable "mode" {}\nresource "ollama_model" "u" {\n  name              = "other"\n'
    "  memory_management = var.mode\n}\n"
)

Command = Callable[..., Result]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, the top of a repository."""
    folder = tmp_path / "tree"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command() -> Command:
    """Runs `ollama-policy` in this process."""

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)

    return run
