"""The help of each command, as it is printed."""

import pytest
from click import Context
from click.testing import CliRunner

from ollama_policy.cli import cli
from tests.snapshot import Snapshots


@pytest.mark.parametrize("name", ["", *cli.list_commands(Context(cli))])
def test_the_help(name: str, snapshots: Snapshots) -> None:
    result = CliRunner().invoke(cli, [*filter(None, [name]), "--help"], prog_name="ollama-policy")
    assert result.exit_code == 0
    snapshots.match(f"help/{name or 'ollama-policy'}.txt", result.stdout)
