"""`ollama-policy report`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import CA_FILE, HOST, PLAN, format_option, output_option


@click.command()
@click.argument("sources", nargs=-1, type=click.Path())
@HOST
@CA_FILE
@PLAN
@click.option("--model", metavar="NAME", help="Load and call this model, and draw its memory.")
@click.option(
    "--calls", default=60, type=click.IntRange(1, 100_000), show_default=True, help="With --model: the number of calls."
)
@click.option(
    "--from", "from_file", metavar="PROBE.json", type=click.Path(), help="Draw a measurement of `probe --format json`."
)
@click.option(
    "--bench",
    "bench_file",
    metavar="BENCH.json",
    type=click.Path(),
    help="Also show a measurement of `bench --format json`.",
)
@format_option("html", "svg", "markdown")
@output_option()
@click.pass_context
def report(
    context: click.Context,
    /,
    calls: int,
    **request: Any,
) -> NoReturn:
    """Write one page about a server: memory, calls, architecture, findings and remedies.

    SOURCES are checked, and compared with the server. With --model, the model is loaded, called and unloaded;
    otherwise the server is only read. The page needs no network.

    Exit codes: 0 no findings, 1 findings or a leak, 2 a server or a file could not be read.
    """
    from ollama_policy.commands.probe.probing import Plan
    from ollama_policy.commands.report.command import Request, run

    context.exit(run(Request(plan=Plan(calls=calls), **request)))
