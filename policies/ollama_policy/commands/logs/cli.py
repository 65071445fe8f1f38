"""`ollama-policy logs`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import SEVERITIES


@click.command()
@click.argument("file", required=False, type=click.Path())
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on as the log grows: one event a line, until Ctrl-C.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option("--fail-on", type=SEVERITIES, default="warning", help="The lowest severity that fails.")
@click.option(
    "--slow", "slow_seconds", metavar="SECONDS", type=click.FloatRange(0), default=60, help="When a call is slow."
)
@click.option("--models", metavar="FOLDER", type=click.Path(), help="Name models by the manifests in OLLAMA_MODELS.")
@click.option("--host", metavar="URL", help="Name models in memory by what that server's /api/ps says.")
@click.option("--threshold", metavar="PERCENT", type=click.FloatRange(1, 100), help="Watch this machine's memory.")
@click.pass_context
def logs(context: click.Context, /, file: str | None, **request: Any) -> NoReturn:
    """Tell what a server's log says of memory, model by model; `-` is standard input.

    FILE is what `ollama serve`, docker, a CRI or `journalctl -u ollama -o short|json|export` wrote. With --threshold,
    `ERROR: Memory usage exceeds threshold. Current memory usage: N%` is written each time that the memory of the whole
    machine rises to PERCENT, after it was 5 below; without FILE nothing else is.
    """
    from ollama_policy.commands.logs.command import Request, run

    context.exit(run(Request(file, **request)))
