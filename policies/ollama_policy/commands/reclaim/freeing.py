"""Frees what a plan says, one after the other, and looks after each step whether it is so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from ollama_policy.live.orphans import blob_of, key
from ollama_policy.live.reclaimable import Entry, Plan, Way, Why
from ollama_provider.apply.drift import CLOCK_SLACK
from ollama_provider.ollama.answers import is_current
from ollama_provider.ollama.errors import NotFoundError, OllamaError
from ollama_provider.ollama.names import ModelName

if TYPE_CHECKING:
    from ollama_provider.ollama.http.api import Ollama

UNLOAD_SECONDS = 60.0  # for requests in flight
TIDY_SECONDS = 10.0
_POLL_SECONDS = 0.1
_SHOWS_WITHIN = 1.0  # an unload of an idle runner took under 0.1 s on 0.17.4 and 0.34.3

_NOT_ITS = "no name that could be tried is on its weights"

Say = Callable[[str], None]


class Freed(NamedTuple):
    """What became of an entry: empty `left` is success, else why it is still there."""

    entry: Entry
    left: str


async def free(client: "Ollama", plan: Plan, say: Say) -> list[Freed]:
    """Frees what can be; what fails is said of its own entry, and the others are freed nevertheless."""
    done = []
    for entry in plan.entries:
        if entry.can_be_freed:
            try:
                left = await _free(client, entry, say)
            except OllamaError as error:
                left = str(error)
            done.append(Freed(entry, left))
    if not any(freed.left for freed in done):  # else the weights may still be needed
        for name in plan.leftovers:
            await _forget(client, name)
    return done


async def _free(client: "Ollama", entry: Entry, say: Say) -> str:
    left = ""
    for way in entry.ways:
        if not await _is_there(client, entry):
            return ""
        left = _NOT_ITS
        if await _is_safe(client, entry, way):
            async with _named(client, way, say):
                say(f"{entry.model.name}: unloading through {way.name}")
                left = await _unload(client, entry, way)
        if left != _NOT_ITS:
            break
    if not left and entry.why is Why.LEFTOVER:
        await _forget(client, entry.model.name)
    return left


async def _unload(client: "Ollama", entry: Entry, way: Way) -> str:
    """Asks until it is gone. Gives up at once where the first request changed nothing of it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        # Asked again at every look: a client's call with a keep_alive of its own cancels an unload.
        await client.unload(way.name)
        await asyncio.sleep(_POLL_SECONDS)
        running = await client.running()
        found = next((model for model in running.models if key(model) == key(entry.model)), None)
        if found is None:
            return ""
        waited = loop.time() - began
        is_asked = running.left_of(found) <= CLOCK_SLACK  # it goes when its last request ends
        if not is_asked and entry.why.is_orphan and waited > _SHOWS_WITHIN:
            return _NOT_ITS
        if waited > UNLOAD_SECONDS:
            return f"still in memory after {UNLOAD_SECONDS:g} s: a request is in flight, or a client calls it again"


async def _is_there(client: "Ollama", entry: Entry) -> bool:
    return any(key(model) == key(entry.model) for model in (await client.running()).models)


async def _is_safe(client: "Ollama", entry: Entry, way: Way) -> bool:
    """Whether the weights are still there, and no other runner is on them by now, one that its own name reaches."""
    if not entry.why.is_orphan:
        return True
    if way.is_temporary and not await client.has_blob(way.blob):
        return False  # another orphan's, which is freed
    installed, running = await asyncio.gather(client.installed(), client.running())
    for model in running.models:
        if is_current(model, installed) and (
            model.name == way.name or (way.blob and await blob_of(client, model.name) == way.blob)
        ):
            return False
    return True


@asynccontextmanager
async def _named(client: "Ollama", way: Way, say: Say) -> AsyncIterator[None]:
    """Makes a temporary name for as long as it is needed, and removes it whatever happens, Ctrl-C included.

    With the name goes the weights' file, where no other name has it: so does Ollama delete.
    """
    if not way.is_temporary:
        yield
        return
    # Shielded: a server goes on making what a client does not wait for, and then the name would stay.
    making = asyncio.ensure_future(client.create(way.name, {"files": {"model.gguf": way.blob}}))
    try:
        await asyncio.shield(making)
        yield
    finally:
        try:
            async with asyncio.timeout(TIDY_SECONDS):
                with suppress(OllamaError):
                    await making
                await _forget(client, way.name)
        except (OllamaError, TimeoutError):
            say(f"{way.name}: this temporary name could not be removed; the next reclaim does")


async def _forget(client: "Ollama", name: ModelName) -> None:
    with suppress(NotFoundError):
        await client.delete(name)
