"""`ollama-policy probe`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import ACTED_ON, CA_FILE, PLAN


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
    help="How many: half with prompts that differ, then half with one prompt; at least 40 decide, times --concurrency.",
)
@click.option(
    "--concurrency", default=1, type=click.IntRange(1, 1000), show_default=True, help="How many at once: a round."
)
@click.option("--prompt", default="Say why the sky is blue.", help="How each prompt ends.")
@click.option("--vary", "varies", is_flag=True, help="Only prompts that differ: how a cache fills. Decides no leak.")
@click.option("--tokens", default=16, type=click.IntRange(1), show_default=True, help="The longest answer.")
@click.option(
    "--fail-on",
    "fails_on",
    type=click.Choice(["leak", "growth"]),
    default="leak",
    show_default=True,
    help="What exit code 1 is for: a leak alone, or a cache that grows, too.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
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
    """Call MODEL again and again, and tell a leak from a cache that grows and from a model that is steady.

    First with prompts that differ, then with one prompt, which no cache keeps twice: growth that goes on then is the
    leak. Notes, call by call, what is allocated and what comes back: M = sum(m - r). A model that was in memory before
    is left there; --plan says what it would do. Exit codes: 0 no leak (growth with a bound is a warning), 1 a leak,
    2 it could not be seen or decided.
    """
    from ollama_policy.commands.probe.command import Request, run
    from ollama_policy.commands.probe.probing import Plan

    plan = Plan(calls=calls, concurrency=concurrency, prompt=prompt, num_predict=tokens, varies=varies)
    context.exit(run(Request(plan=plan, **request)))
