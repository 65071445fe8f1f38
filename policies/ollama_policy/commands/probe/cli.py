"""`ollama-policy probe`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import ACTED_ON, CA_FILE, CONCURRENCY, PLAN, TOKENS, format_option, output_option


@click.command()
@click.argument("model")
@ACTED_ON
@CA_FILE
@PLAN
@click.option(
    "--calls",
    default=60,
    type=click.IntRange(1, 100_000),
    show_default=True,
    help="How many calls: half with different prompts, half with one prompt. A verdict needs 40, times --concurrency.",
)
@CONCURRENCY
@click.option("--prompt", default="Say why the sky is blue.", help="How each prompt ends.", show_default=True)
@click.option(
    "--vary", "varies", is_flag=True, help="Use only different prompts, to show how a cache fills. Finds no leak."
)
@TOKENS
@click.option(
    "--fail-on",
    "fails_on",
    type=click.Choice(["leak", "growth"]),
    default="leak",
    show_default=True,
    help="When to exit with 1: for a leak only, or also for a cache that grows.",
)
@format_option("text", "json")
@output_option()
@click.pass_context
def probe(
    context: click.Context,
    /,
    calls: int,
    concurrency: int,
    prompt: str,
    varies: bool,
    tokens: int,
    **request: Any,
) -> NoReturn:
    """Call MODEL repeatedly and measure whether its memory leaks, grows to a bound, or is steady.

    The first calls have different prompts, the others one prompt, which no cache keeps twice: growth that continues
    then is a leak. Each call is recorded with what it allocates and what it releases: M = sum(m - r). A model that was
    in memory before stays there.

    Exit codes: 0 no leak (growth with a bound is a warning), 1 a leak, 2 the memory could not be seen, or no verdict.
    """
    from ollama_policy.commands.probe.command import Request, run
    from ollama_policy.commands.probe.probing import Plan

    plan = Plan(calls=calls, concurrency=concurrency, prompt=prompt, num_predict=tokens, varies=varies)
    context.exit(run(Request(plan=plan, **request)))
