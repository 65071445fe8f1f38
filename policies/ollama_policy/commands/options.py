"""Options that several commands take."""

from typing import Final

import click

PATHS: Final = click.argument("paths", nargs=-1, type=click.Path())
CONFIG: Final = click.option(
    "--config", metavar="FILE", type=click.Path(), help="Use this configuration, and no other."
)
HOST: Final = click.option("--host", metavar="URL", help="The server, as in OLLAMA_HOST, which is read by default.")
CA_FILE: Final = click.option(
    "--ca-file", metavar="FILE", type=click.Path(), help="The certificates of a private authority."
)
PLAN: Final = click.option("--plan", "is_dry", is_flag=True, help="Say what it would do to the server, and do nothing.")
ACTED_ON: Final = click.option("--host", metavar="URL", help="The server, where OLLAMA_HOST does not name it.")
SEVERITIES: Final = click.Choice(["error", "warning", "info"])
COMPLETION_VARIABLE: Final = "_OLLAMA_POLICY_COMPLETE"
