"""`ollama-policy remedies`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import NoReturn

import click

from ollama_policy.commands.options import CA_FILE, HOST


@click.command()
@click.argument("sources", nargs=-1, type=click.Path())
@HOST
@CA_FILE
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option(
    "--apply-to",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="Write the checker's safe fixes into this file, and show the diff; once for each file.",
)
@click.option(
    "--cache-ram", "cache_mib", metavar="MIB", type=click.IntRange(0), default=512, help="The prompt cache to propose."
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
    """Tell what would give memory back on a server, by how many bytes, at which cost and risk, and how to do it.

    SOURCES are the declarations of its models, and of the server itself. The server is only read. Exit codes: 0 nothing
    is recommended, 1 something is, 2 it could not be looked at.
    """
    from ollama_policy.commands.remedies.command import Request, run
    from ollama_policy.live.connect import connection

    context.exit(run(Request(sources, connection(host, ca_file), form, output, apply_to, cache_mib)))
