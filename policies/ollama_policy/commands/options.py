"""Options that several commands take."""

import os
from typing import Final

import click
from click.shell_completion import CompletionItem

PATHS: Final = click.argument("paths", nargs=-1, type=click.Path())
CONFIG: Final = click.option(
    "--config", metavar="FILE", type=click.Path(), help="Use this configuration file instead of the one that is found."
)
HOST: Final = click.option(
    "--host", metavar="URL", help="The server. [default: OLLAMA_HOST, else http://127.0.0.1:11434]"
)
CA_FILE: Final = click.option(
    "--ca-file", metavar="FILE", type=click.Path(), help="A PEM file with the certificates of a private authority."
)
PLAN: Final = click.option("--plan", "is_dry", is_flag=True, help="Print what the command would do, and do nothing.")
ACTED_ON: Final = click.option(
    "--host", metavar="URL", help="The server. [default: OLLAMA_HOST; one of the two is required]"
)


def _colour(_: click.Context, __: click.Parameter, when: str) -> None:
    if when != "auto":
        os.environ.pop("NO_COLOR" if when == "always" else "FORCE_COLOR", None)
        os.environ["FORCE_COLOR" if when == "always" else "NO_COLOR"] = "1"


COLOR: Final = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    expose_value=False,
    callback=_colour,
    help="When to use colors. The default follows the terminal, NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE.",
)
SEVERITIES: Final = click.Choice(["error", "warning", "info"])
COMPLETION_VARIABLE: Final = "_OLLAMA_POLICY_COMPLETE"


def rule_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of rules that a shell completes, each with its name."""
    from ollama_policy.rules.registry import EVERY_RULE  # noqa: PLC0415 - a run that completes nothing needs none

    begun = incomplete.upper()
    return [CompletionItem(rule.id, help=rule.name) for rule in EVERY_RULE if rule.id.startswith(begun)]
