"""`ollama-policy remedies`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import NoReturn

import click

from ollama_policy.commands.options import CA_FILE, HOST, format_option, output_option


@click.command()
@click.argument("sources", nargs=-1, type=click.Path())
@HOST
@CA_FILE
@format_option("text", "json", "markdown")
@output_option()
@click.option(
    "--apply-to",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="Write the checker's safe fixes into this file, and show the diff. Can be repeated.",
)
@click.option(
    "--cache-ram",
    "cache_mib",
    metavar="MIB",
    type=click.IntRange(0),
    default=512,
    show_default=True,
    help="The prompt cache to propose.",
)
@click.pass_context
def remedies(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    host: str | None,
    ca_file: str | None,
    form: str,
    output: str | None,
    apply_to: tuple[str, ...],
    cache_mib: int,
) -> NoReturn:
    """List what would free memory on a server: how many bytes, the cost, the risk, and how to do it.

    SOURCES hold the declarations of its models, and the server's own configuration. The server is only read.

    Exit codes: 0 nothing is recommended, 1 something is, 2 the server could not be read.
    """
    from ollama_policy.commands.remedies.command import Request, run
    from ollama_policy.live.connect import connection

    context.exit(run(Request(sources, connection(host, ca_file), form, output, apply_to, cache_mib)))
