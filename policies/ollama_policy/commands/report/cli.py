"""`ollama-policy report`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import CA_FILE, HOST, PLAN


@click.command()
@click.argument("sources", nargs=-1, type=click.Path())
@HOST
@CA_FILE
@PLAN
@click.option("--model", metavar="NAME", help="Call it, and draw its memory and the calls.")
@click.option("--calls", default=60, type=click.IntRange(1, 100_000), show_default=True, help="How many.")
@click.option("--from", "from_file", metavar="PROBE.json", type=click.Path(), help="Draw what `probe` measured.")
@click.option("--bench", "bench_file", metavar="BENCH.json", type=click.Path(), help="Show what `bench` measured, too.")
@click.option("--format", "form", type=click.Choice(["html", "svg", "markdown"]), default="html", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.pass_context
def report(
    context: click.Context,
    /,
    calls: int,
    **request: Any,
) -> NoReturn:
    """Write one page of memory, calls, architecture, findings and remedies of a server; it needs no network to read.

    SOURCES are checked, and compared with the server. With --model the model is loaded, called and unloaded; without
    it, and with --from, the server is only read. Exit codes: 0 nothing found, 1 a finding or a leak, 2 something could
    not be looked at.
    """
    from ollama_policy.commands.probe.probing import Plan
    from ollama_policy.commands.report.command import Request, run

    context.exit(run(Request(plan=Plan(calls=calls), **request)))
