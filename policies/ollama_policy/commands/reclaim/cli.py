"""`ollama-policy reclaim`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import NoReturn

import click

from ollama_policy.commands.options import ACTED_ON, CA_FILE, PLAN, format_option
from ollama_policy.errors import CannotLookError


@click.command()
@click.argument("sources", nargs=-1, type=click.Path())
@ACTED_ON
@CA_FILE
@PLAN
@click.option("--undeclared", is_flag=True, help="Also free models that no declaration in SOURCES names.")
@click.option(
    "--reload",
    "reloaded",
    metavar="NAME",
    multiple=True,
    help="Only unload this model and load it again. Can be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Required where there is no terminal.")
@format_option("text", "json")
@click.pass_context
def reclaim(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    host: str | None,
    ca_file: str | None,
    is_dry: bool,
    undeclared: bool,
    reloaded: tuple[str, ...],
    yes: bool,
    form: str,
) -> NoReturn:
    """Free memory that a server holds for nobody, without a restart.

    The command frees orphans (models that were deleted or replaced while in memory), models that SOURCES declare not
    to be in memory, and, on the server's own machine, your runner processes whose server was killed. With --reload it
    frees what the runners of the named models have grown by: each model is loaded again, and pinned if it was.

    Exit codes: 0 nothing to free or all freed, 1 something is left, 2 the server could not be read.
    """
    import sys

    from ollama_policy.commands.reclaim.command import Request, run
    from ollama_policy.live.connect import named_connection

    def confirm() -> bool:
        return click.confirm("Free it?", err=True)

    reached = named_connection(host, ca_file, "models are unloaded")
    ask = confirm if sys.stdin.isatty() else None
    if reloaded:
        from ollama_policy.commands.reclaim import reloading

        if sources or undeclared:
            raise CannotLookError("--reload reloads the models that it names: give it without SOURCES and --undeclared")
        context.exit(reloading.run(reloading.Request(reloaded, reached, yes, is_dry, form), ask))
    context.exit(run(Request(sources, reached, undeclared, yes, is_dry, form), ask))
