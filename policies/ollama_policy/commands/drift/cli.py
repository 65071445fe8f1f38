"""`ollama-policy drift`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import NoReturn

import click

from ollama_policy.commands.options import (
    CA_FILE,
    COLOR,
    CONFIG,
    FAIL_ON,
    HOSTS,
    PATHS,
    RECORD,
    STRICT,
    VERBOSE,
    format_option,
    output_option,
    rule_ids,
)
from ollama_policy.formats import Format


@click.command()
@PATHS
@HOSTS
@click.option(
    "--hosts-file", metavar="FILE", type=click.Path(), help="A file of servers, one per line; # starts a comment."
)
@click.option("--fleet", metavar="NAME", multiple=True, help="Look at a server at each address of this DNS name.")
@format_option(*(one.value for one in Format))
@output_option()
@click.option(
    "--select",
    metavar="IDS",
    multiple=True,
    shell_complete=rule_ids,
    help="Report only these kinds: ids or id prefixes, separated by commas.",
)
@click.option(
    "--ignore",
    metavar="IDS",
    multiple=True,
    shell_complete=rule_ids,
    help="Skip these kinds: ids or id prefixes, separated by commas.",
)
@STRICT
@FAIL_ON
@RECORD
@click.option(
    "--from",
    "from_file",
    metavar="FILE",
    type=click.Path(),
    help="Use a saved answer instead of a server; `-` is standard input.",
)
@click.option(
    "--timeout", metavar="DURATION", default="10s", show_default=True, help="How long to wait for each server."
)
@CA_FILE
@click.option("--watch", "does_watch", is_flag=True, help="Show a live table in the terminal until Ctrl-C.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    default=2.0,
    show_default=True,
    help="With --watch: seconds between two looks.",
)
@CONFIG
@VERBOSE
@COLOR
@click.pass_context
def drift(context: click.Context, /, **request: object) -> NoReturn:
    """Compare declared models with what servers hold on disk and in memory. Changes no server.

    PATHS are files and folders as for `check`, and Terraform states; the default is the working folder. A declaration
    belongs to its own host, else to its provider's host, else to every --host. OLLAMA_API_KEY or a netrc password is
    sent only to servers that --host, --hosts-file, --fleet or OLLAMA_HOST names.

    Exit codes: 0 no drift, 1 drift, 2 a server or a file could not be read, 3 there was no server to look at.
    """
    from ollama_policy.commands.drift.command import run
    from ollama_policy.commands.drift.session import Request

    context.exit(run(Request(**request)))  # type: ignore[arg-type]
