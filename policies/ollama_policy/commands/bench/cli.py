"""`ollama-policy bench`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import ACTED_ON, CA_FILE, CONCURRENCY, PLAN, TOKENS, format_option, output_option


@click.command()
@click.argument("case", type=click.Choice(["pinned", "aligned", "servers"]))
@click.argument("model")
@ACTED_ON
@CA_FILE
@PLAN
@click.option("--other-host", metavar="URL", help="The second server, for the case `servers`.")
@click.option("--rounds", default=8, type=click.IntRange(4, 1000), show_default=True, help="Rounds for each side.")
@click.option("--calls", default=8, type=click.IntRange(1, 10_000), show_default=True, help="Calls in each round.")
@CONCURRENCY
@click.option("--prompt", default="Say why the sky is blue.", help="The prompt of each call.", show_default=True)
@TOKENS
@format_option("text", "json")
@output_option("table")
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
    """Compare two ways to serve MODEL: calls per second, latencies, and the gain with its confidence.

    CASE is `pinned` (a model that is unloaded between calls, against a pinned one), `aligned` (clients with different
    num_ctx, against clients with the same) or `servers` (two servers). The command loads, pins and unloads the model,
    and leaves it as it was. The two sides take turns, so that a noisy machine cannot decide.

    Exit codes: 0 measured, 2 not measured.
    """
    from ollama_policy.commands.bench.command import Request, run
    from ollama_policy.commands.bench.measuring import Plan
    from ollama_policy.commands.bench.sides import Case

    plan = Plan(rounds=rounds, calls=calls, concurrency=concurrency, prompt=prompt)
    context.exit(run(Request(Case(case), plan=plan, **request)))
