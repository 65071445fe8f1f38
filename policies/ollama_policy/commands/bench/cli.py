"""`ollama-policy bench`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import ACTED_ON, CA_FILE, PLAN


@click.command()
@click.argument("case", type=click.Choice(["pinned", "aligned", "servers"]))
@click.argument("model")
@ACTED_ON
@CA_FILE
@PLAN
@click.option("--other-host", metavar="URL", help="The second server, for `servers`.")
@click.option("--rounds", default=8, type=click.IntRange(4, 1000), show_default=True, help="How many a side.")
@click.option("--calls", default=8, type=click.IntRange(1, 10_000), show_default=True, help="How many a round.")
@click.option("--concurrency", default=1, type=click.IntRange(1, 1000), show_default=True, help="How many at once.")
@click.option("--prompt", default="Say why the sky is blue.", help="What is asked.")
@click.option("--tokens", default=16, type=click.IntRange(1), show_default=True, help="The longest answer.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the table there, whole or not at all.")
@click.pass_context
def bench(
    context: click.Context,
    /,
    case: str,
    rounds: int,
    calls: int,
    concurrency: int,
    prompt: str,
    **request: Any,
) -> NoReturn:
    """Compare two ways to serve MODEL, in turn: QPS, latencies, and the gain with its confidence.

    CASE is `pinned` (a model that is unloaded between calls, against one that is pinned), `aligned` (clients whose
    num_ctx differ, against clients that agree) or `servers` (two servers, whatever makes them differ). It loads, pins
    and unloads the model, and leaves it as it was found. Exit codes: 0 measured, 2 it could not be.
    """
    from ollama_policy.commands.bench.command import Request, run
    from ollama_policy.commands.bench.measuring import Plan
    from ollama_policy.commands.bench.sides import Case

    plan = Plan(rounds=rounds, calls=calls, concurrency=concurrency, prompt=prompt)
    context.exit(run(Request(Case(case), plan=plan, **request)))
