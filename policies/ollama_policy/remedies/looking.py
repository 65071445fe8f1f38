"""What one server says of itself: GET /api/version, /api/tags and /api/ps, POST /api/show. Nothing here changes it."""

import asyncio
from typing import Final

from ollama_policy.reclaiming.looking import blob_of
from ollama_policy.reclaiming.plan import Facts, Wishes, is_current, lookalikes, orphans, plan
from ollama_policy.remedies.facts import Server
from ollama_provider.ollama.answers import Connection, InstalledModel, ModelDetails, Running
from ollama_provider.ollama.api import Ollama
from ollama_provider.ollama.errors import NotFoundError, UnreachableError
from ollama_provider.ollama.names import ModelName

_AT_ONCE: Final = 8
_SECONDS: Final = 30.0


async def look(connection: Connection, wishes: Wishes) -> Server:
    """What the server says now. `wishes` protect an orphan's weights. Raises OllamaError."""
    try:
        async with asyncio.timeout(_SECONDS), Ollama(connection) as client:
            return await _look(client, wishes)
    except TimeoutError:
        raise UnreachableError("what it holds", connection.url, f"not answered within {_SECONDS:g} s") from None


async def _look(client: Ollama, wishes: Wishes) -> Server:
    version, installed, running = await asyncio.gather(client.version(), client.installed(), client.running())
    turns = asyncio.Semaphore(_AT_ONCE)

    async def details(name: ModelName) -> ModelDetails | None:
        async with turns:
            try:
                return await client.show(name)
            except NotFoundError:  # deleted since
                return None

    names = sorted({model.name for model in running.models if is_current(model, installed)}, key=str)
    shown = dict(zip(names, await asyncio.gather(*map(details, names)), strict=True))
    entries = plan(await _facts(client, installed, running), wishes).entries
    return Server(
        client.url,
        version,
        installed,
        running,
        {name: one for name, one in shown.items() if one is not None},
        tuple(entry for entry in entries if entry.why.is_orphan),
    )


async def _facts(client: Ollama, installed: dict[ModelName, InstalledModel], running: Running) -> Facts:
    """As `reclaim` has them, but for the processes of this machine: their weights are looked for on disk there."""
    lost = orphans(installed, running)
    if not lost:
        return Facts(installed, running)
    current = {model.name for model in running.models if is_current(model, installed)}
    alike = {name for model in lost for name in lookalikes(model, installed)}
    same = {name for name, model in installed.items() if any(model.digest == one.digest for one in lost)}
    turns = asyncio.Semaphore(_AT_ONCE)

    async def blob(name: ModelName) -> str:
        async with turns:
            return await blob_of(client, name)

    names = sorted(current | alike | same, key=str)
    return Facts(installed, running, dict(zip(names, await asyncio.gather(*map(blob, names)), strict=True)))
