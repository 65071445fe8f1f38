"""`ollama-policy drift`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import NoReturn

import click

from ollama_policy.commands.options import CA_FILE, CONFIG, PATHS, SEVERITIES
from ollama_policy.formats import Format


@click.command()
@PATHS
@click.option(
    "--host", "hosts", metavar="URL", multiple=True, help="A server, as in OLLAMA_HOST, which is the default."
)
@click.option("--hosts-file", metavar="FILE", type=click.Path(), help="Servers, one a line; # begins a comment.")
@click.option("--fleet", metavar="NAME", multiple=True, help="A server at each address of this DNS name.")
@click.option("--format", "form", type=click.Choice([one.value for one in Format]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option("--select", metavar="IDS", multiple=True, help="Only these kinds: ids or their beginnings, by comma.")
@click.option("--ignore", metavar="IDS", multiple=True, help="Not these kinds: ids or their beginnings, by comma.")
@click.option("--strict", "is_strict", is_flag=True, help="Fail on what cannot be decided, too.")
@click.option("--fail-on", type=SEVERITIES, help="The lowest severity that fails. [default: warning]")
@click.option("--record", metavar="FILE", type=click.Path(), help="Write what the servers said; `-`: to stdout.")
@click.option("--from", "from_file", metavar="FILE", type=click.Path(), help="Judge what was recorded; `-` is stdin.")
@click.option("--timeout", metavar="DURATION", default="10s", show_default=True, help="The deadline of each server.")
@CA_FILE
@click.option("--watch", "does_watch", is_flag=True, help="A table in the terminal that moves, until Ctrl-C.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    default=2.0,
    show_default=True,
    help="With --watch: how long between two looks.",
)
@CONFIG
@click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Say each undecided value, each link not followed.")
@click.pass_context
def drift(context: click.Context, /, **request: object) -> NoReturn:
    """Compare what PATHS declare with what servers really hold, on disk and in memory. Changes no server.

    PATHS are files and folders as for `check`, and Terraform states; the working folder by default. A declaration is
    for its own host, else its provider's, else for every --host. OLLAMA_API_KEY, or a netrc's password, is sent to
    servers that are named here or by OLLAMA_HOST, and to no other.
    """
    from ollama_policy.commands.drift.command import run
    from ollama_policy.commands.drift.session import Request

    context.exit(run(Request(**request)))  # type: ignore[arg-type]
