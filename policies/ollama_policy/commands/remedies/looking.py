"""What one server says of itself, by GET /api/version, /api/tags and /api/ps and POST /api/show, and what its processes
show where they are on this machine. Nothing here changes it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from ollama_policy.commands.remedies.facts import Server
from ollama_policy.live.connect import details_of
from ollama_policy.live.orphans import blobs_near
from ollama_policy.live.reclaimable import Facts, Intent, orphans, plan
from ollama_policy.live.runners.growth import grown
from ollama_policy.live.runners.processes import variables_of
from ollama_policy.live.snapshot import ServerState
from ollama_provider.ollama.answers import Connection, InstalledModel, Running, is_current
from ollama_provider.ollama.errors import UnreachableError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.http.transport import no_answer
from ollama_provider.ollama.kinds import is_called_elsewhere, runs_elsewhere
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.versions import Behavior, version_in

_SECONDS: Final = 30.0


async def look(connection: Connection, intent: Intent) -> Server:
    """What the server says now. `intent` protects an orphan's weights. Raises OllamaError."""
    async with _in_time(connection) as client:
        version = await client.supported_version()
        installed, running = await asyncio.gather(client.installed(), client.running())
        return await _beside(client, version, installed, running, intent, ())


async def beside(connection: Connection, seen: ServerState, intent: Intent, names: Collection[ModelName]) -> Server:
    """What belongs to what a server said already, with the details of `names`, too: that is not asked again.

    Raises OllamaError.
    """
    installed = {
        name: InstalledModel(name, one.digest, one.size, "", "", "", "", one.format, one.remote_model, one.remote_host)
        for name, one in seen.installed.items()
    }
    async with _in_time(connection) as client:
        return await _beside(client, seen.version, installed, seen.running, intent, names)


@asynccontextmanager
async def _in_time(connection: Connection) -> AsyncIterator[Ollama]:
    """A client, for so long. Raises UnreachableError where that is not enough."""
    try:
        async with asyncio.timeout(_SECONDS), Ollama(connection) as client:
            yield client
    except TimeoutError:
        words = no_answer(f"{_SECONDS:g} s", connection.url)
        raise UnreachableError("the look at what it holds", connection.url, words) from None


async def _beside(
    client: Ollama,
    version: str,
    installed: dict[ModelName, InstalledModel],
    running: Running,
    intent: Intent,
    more: Collection[ModelName],
) -> Server:
    current = {model.name for model in running.models if is_current(model, installed)}
    there = {name: installed[name] for name in more if name in installed and not runs_elsewhere(installed[name])}
    wanted = {name for name, model in there.items() if not is_called_elsewhere(name, model, version_in(version))}
    details = await details_of(client, sorted(current | wanted, key=str))
    entries = plan(await _facts(client, installed, running), intent).entries
    has_cache = Behavior.PROMPT_CACHE.holds(version_in(version), if_unknown=True)
    found = await asyncio.to_thread(grown, client.url, running.models, details) if has_cache else {}
    variables = await asyncio.to_thread(variables_of, client.url) if client.is_on_this_machine else None
    return Server(
        client.url,
        version,
        installed,
        running,
        details,
        tuple(entry for entry in entries if entry.why.is_orphan),
        found,
        variables,
    )


async def _facts(client: Ollama, installed: dict[ModelName, InstalledModel], running: Running) -> Facts:
    """As `reclaim` has them, but for the processes of this machine: their weights are looked for on disk there."""
    lost = orphans(installed, running)
    if not lost:
        return Facts(installed, running)
    return Facts(installed, running, await blobs_near(client, lost, installed, running))
