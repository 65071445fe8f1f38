"""`ollama-policy logs`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import COLOR, SEVERITIES, format_option, output_option


@click.command()
@click.argument("file", required=False, type=click.Path())
@click.option(
    "-f", "--follow", "follows", is_flag=True, help="Follow the log as it grows: one event per line, until Ctrl-C."
)
@format_option("text", "json", "markdown")
@output_option()
@click.option(
    "--fail-on", type=SEVERITIES, default="warning", help="The lowest severity that fails the run.", show_default=True
)
@click.option(
    "--slow",
    "slow_seconds",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="From when on a call is slow.",
)
@click.option(
    "--models", metavar="FOLDER", type=click.Path(), help="Find the models' names in this OLLAMA_MODELS folder."
)
@click.option("--host", metavar="URL", help="Find the names of models in memory by this server's /api/ps.")
@click.option(
    "--threshold",
    metavar="PERCENT",
    type=click.FloatRange(1, 100),
    help="Also write an alarm when this machine's memory passes the threshold.",
)
@COLOR
@click.pass_context
def logs(context: click.Context, /, file: str | None, **request: Any) -> NoReturn:
    """Report what a server's log says about memory, model by model.

    FILE is the log of `ollama serve` itself, or what docker, a container runtime, kubectl or `journalctl -u ollama -o
    short|json|export` made of it; `-` is standard input. With --threshold, the line `ERROR: Memory usage exceeds
    threshold. Current memory usage: N%` is written each time that the memory of the whole machine rises to PERCENT
    after it was 5 points lower; without FILE, nothing else is written.

    Exit codes: 0 no findings, 1 findings, 2 the log could not be read.
    """
    from ollama_policy.commands.logs.command import Request, run

    context.exit(run(Request(file, **request)))
