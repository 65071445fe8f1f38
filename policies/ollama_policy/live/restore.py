"""Leaves the memory of a server as it was found, however a command that loads and calls models there ends."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from ollama_policy.live.connect import installed_one
from ollama_policy.text.escaping import shown
from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import FOR_EVER, Running, RunningModel
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName

CUT_OFF_SECONDS: Final = 5.0  # to leave all as it was, where a command is cut off
_LOAD_SECONDS: Final = 300.0  # of each model that was evicted
_GONE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


@asynccontextmanager
async def left_as_before(ollama: Ollama, called: ModelName, *, sets_timers: bool) -> AsyncIterator[Running]:
    """What is in memory now, and is there again once the block is left; `called` is not, where it was not.

    A model that stayed in memory keeps its own timer, which every call begins anew. With `sets_timers` the calls
    brought a keep_alive along: then the called one is given what it had left, or its pin, for Ollama does not tell how
    long a timer was. Raises OllamaErrors and TimeoutError, but none where the block failed already; and before
    anything is called, where the model is not on the server, or the server would pass its calls on to another.
    """
    await installed_one(ollama, called)
    before = await ollama.running()
    try:
        yield before
    except BaseException:
        try:
            async with asyncio.timeout(CUT_OFF_SECONDS):
                await _restore(ollama, before, called, sets_timers)
        except (OllamaError, TimeoutError):
            sys.stderr.write(f"{ollama.url} may not be as it was found: look at it with `ollama ps`\n")
        raise
    await _restore(ollama, before, called, sets_timers)


def promise(before: Running, called: ModelName, *, sets_timers: bool) -> list[str]:
    """What `left_as_before` will leave, in lines for a person."""
    model = next((one for one in before.models if one.name == called), None)
    if model is None:
        lines = [f"in the end {called} is not in memory, as now"]
    elif before.is_pinned(model):
        lines = [f"in the end {called} is in memory, pinned, as now"]
    elif sets_timers:
        left = durations.text(round(before.left_of(model).total_seconds()) * 10**9)
        lines = [f"in the end {called} is in memory for another {left}, as now"]
    else:
        lines = [f"in the end {called} is in memory with its own timer, which each call restarts"]
    others = [
        f"{one.name}{' (pinned)' if before.is_pinned(one) else ''}" for one in before.models if one.name != called
    ]
    if others and model is None:
        lines.append(f"it may interrupt {', '.join(others)}: what Ollama evicts for room is loaded again")
    elif others:
        lines.append(f"of {', '.join(others)}, what Ollama evicts meanwhile is loaded again")
    return lines


def dry_run(url: str, steps: list[str], ends: list[str]) -> str:
    """What `--plan` shows: what would be done to a server, and how it would be left."""
    lines = [f"on {url} this would", *(f"  {step}" for step in steps), *ends, "nothing was done"]
    return "".join(f"{shown(line)}\n" for line in lines)


async def _restore(ollama: Ollama, before: Running, called: ModelName, sets_timers: bool) -> None:
    if all(model.name != called for model in before.models):
        now = await ollama.running()
        is_others = not sets_timers and any(model.name == called and now.is_pinned(model) for model in now.models)
        if is_others:
            sys.stderr.write(f"{called} is left in memory: another client has pinned it meanwhile\n")
        else:
            await unloaded(ollama, called)
    now = await ollama.running()
    for model in before.models:
        left = None if before.is_pinned(model) else before.left_of(model)
        is_called = sets_timers and model.name == called
        if is_called or not _is_as_it_was(model, left is None, now):
            await load_again(ollama, model, left)


def _is_as_it_was(model: RunningModel, is_pinned: bool, now: Running) -> bool:
    """A runner of that content and context, and pinned if it was. Where its timer ran down, it is as it would be."""
    if not is_pinned and now.left_of(model) <= timedelta():
        return True
    return any(
        one.digest == model.digest and one.context_length == model.context_length and now.is_pinned(one) == is_pinned
        for one in now.models
    )


async def load_again(
    ollama: Ollama, model: RunningModel, left: timedelta | None, *, as_clients_do: bool = False
) -> None:
    """Loads it, or re-arms it. One whose name is gone, or has other content now, cannot be had again.

    It gets the context that it had, or `as_clients_do` none, which leaves that to the server. Raises TimeoutError.
    """
    there = (await ollama.installed()).get(model.name)
    if there is None or there.digest != model.digest:
        return
    details = await ollama.show(model.name)
    keep_alive: str | int = FOR_EVER
    if left is not None:
        keep_alive = durations.text(max(round(left.total_seconds()), 1) * 10**9)
    async with asyncio.timeout(_LOAD_SECONDS):
        context_length = None if as_clients_do else model.context_length or None
        await ollama.load(model.name, keep_alive, only_embeds=details.only_embeds, context_length=context_length)


async def unloaded(ollama: Ollama, name: ModelName, seconds: float = _GONE_SECONDS) -> None:
    """Unloads a model, and waits until it is gone. Raises TimeoutError."""
    if not await is_in_memory(ollama, name):
        return
    await ollama.unload(name)
    async with asyncio.timeout(seconds):
        while await is_in_memory(ollama, name):  # noqa: ASYNC110 - Ollama tells nobody
            await asyncio.sleep(_POLL_SECONDS)


async def is_in_memory(ollama: Ollama, name: ModelName) -> bool:
    return any(model.name == name for model in (await ollama.running()).models)
