"""Every command that asks a server is in the table by which the tests call all of them."""

import click

from ollama_policy.cli import cli
from tests.policies.live_commands import LIVE_COMMANDS


def test_the_table_has_every_command_with_a_host() -> None:
    context = click.Context(cli)
    assert isinstance(cli, click.Group)
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    live = {name for name, one in commands.items() if one and any("--host" in option.opts for option in one.params)}
    assert LIVE_COMMANDS.keys() == live, "add its line to tests/policies/live_commands.py"
