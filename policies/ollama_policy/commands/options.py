"""Options that several commands take."""

import os
from collections.abc import Callable
from typing import Final, TypeVar

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
HOSTS: Final = click.option(
    "--host", "hosts", metavar="URL", multiple=True, help="A server. Can be repeated. [default: OLLAMA_HOST]"
)
RECORD: Final = click.option(
    "--record", metavar="FILE", type=click.Path(), help="Save what the servers answered; `-` is standard output."
)
STRICT: Final = click.option("--strict", "is_strict", is_flag=True, help="Also fail on values that cannot be decided.")
VERBOSE: Final = click.option(
    "-v", "--verbose", "is_verbose", is_flag=True, help="Also list undecided values and links that were not followed."
)
CONCURRENCY: Final = click.option(
    "--concurrency", default=1, type=click.IntRange(1, 1000), show_default=True, help="Calls at the same time."
)
TOKENS: Final = click.option(
    "--tokens", default=16, type=click.IntRange(1), show_default=True, help="The most tokens of an answer."
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
FAIL_ON: Final = click.option(
    "--fail-on", type=SEVERITIES, help="The lowest severity that fails the run. [default: warning]"
)
COMPLETION_VARIABLE: Final = "_OLLAMA_POLICY_COMPLETE"


_Decorated = TypeVar("_Decorated", bound=Callable[..., object])


def format_option(*formats: str) -> Callable[[_Decorated], _Decorated]:
    """`--format` with these choices, of which the first is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        help="The output format.",
        show_default=True,
    )


def output_option(written: str = "report") -> Callable[[_Decorated], _Decorated]:
    """`-o FILE`, for what a command writes."""
    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=click.Path(),
        help=f"Write the {written} to this file instead of standard output.",
    )


def rule_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of rules that a shell completes, each with its name."""
    from ollama_policy.rules.registry import EVERY_RULE  # noqa: PLC0415 - a run that completes nothing needs none

    begun = incomplete.upper()
    return [CompletionItem(rule.id, help=rule.name) for rule in EVERY_RULE if rule.id.startswith(begun)]
