"""Makes the calls of two sides, in turn and in turned order, so that a noisy machine cannot decide."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ollama_policy.commands.bench.figures import Call, Round
from ollama_policy.commands.bench.sides import Side
from ollama_policy.live.restore import unloaded
from ollama_policy.live.runners.same_weights import holder
from ollama_provider.ollama.answers import FOR_EVER
from ollama_provider.ollama.errors import OllamaError, RefusedError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName

CALL_SECONDS = 300.0
_KEEP_ALIVE = "10m"
_COLD_SECONDS = 10.0


class Plan(NamedTuple):
    """`rounds` of `calls` each, a side, `concurrency` at once; one round before them does not count."""

    rounds: int = 8
    calls: int = 8
    concurrency: int = 1
    prompt: str = "Say why the sky is blue."


Report = Callable[[str], None]


async def measure(
    sides: tuple[Side, Side], clients: Mapping[str, Ollama], plan: Plan, report: Report
) -> tuple[list[Round], list[Round]]:
    """The rounds of the old and of the new side. Raises an OllamaError where a side cannot even be got ready."""
    rounds: tuple[list[Round], list[Round]] = ([], [])
    for turn in range(-1, plan.rounds):
        order = (0, 1) if turn % 2 else (1, 0)
        for index in order:
            side = sides[index]
            made = await _round(side, clients[side.server], plan)
            if turn >= 0:
                rounds[index].append(made)
        report("warmed up" if turn < 0 else f"round {turn + 1} of {plan.rounds}")
    return rounds


async def _round(side: Side, ollama: Ollama, plan: Plan) -> Round:
    if side.is_cold:
        await _out_of_memory(ollama, side.model)
    else:
        async with asyncio.timeout(CALL_SECONDS):
            context = side.options[0].get("num_ctx")
            await ollama.load(side.model, FOR_EVER if len(side.options) == 1 else _KEEP_ALIVE, context_length=context)
    clock = asyncio.get_running_loop().time
    began, waited, numbers, calls = clock(), 0.0, itertools.count(), list[Call]()

    async def caller() -> None:
        nonlocal waited
        while (number := next(numbers)) < plan.calls:
            if side.is_cold and number:
                start = clock()
                await _out_of_memory(ollama, side.model)
                waited += clock() - start  # an expired timer costs a client nothing: only the load that follows does
            calls.append(await _call(side, ollama, plan, number))

    async with asyncio.TaskGroup() as callers:
        for _ in range(1 if side.is_cold else plan.concurrency):
            callers.create_task(caller())
    return Round(clock() - began - waited, calls)


async def _call(side: Side, ollama: Ollama, plan: Plan, number: int) -> Call:
    options = side.options[number % len(side.options)]
    keep_alive = _KEEP_ALIVE if side.is_cold else None
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(CALL_SECONDS):
            made = await ollama.generate(side.model, plan.prompt, options=options, keep_alive=keep_alive)
    except (OllamaError, TimeoutError) as error:
        took = asyncio.get_running_loop().time() - began
        return Call(took, took, 0, str(error) or f"no answer within {CALL_SECONDS:g} s")
    return Call(made.seconds, made.seconds_to_first_token, made.tokens, load_seconds=made.load_seconds)


async def _out_of_memory(ollama: Ollama, name: ModelName) -> None:
    """Unloads it, and sees that no runner has its weights. Raises RefusedError where it cannot be had so."""
    asked = f"a cold call of {name}"
    try:
        await unloaded(ollama, name, seconds=_COLD_SECONDS)
    except TimeoutError:
        words = f"it did not leave memory within {_COLD_SECONDS:g} s: another client calls it"
        raise RefusedError(asked, ollama.url, words) from None
    if (held := await holder(ollama, name, await ollama.running())) is not None:
        raise RefusedError(
            asked, ollama.url, f"its weights are in memory again, as {held.name}: another client calls it"
        )
