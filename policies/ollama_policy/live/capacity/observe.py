"""What servers say of themselves and of the models that are declared, and the same as a snapshot.

GET /api/version, /api/tags and /api/ps, POST /api/show: nothing here changes a server. A snapshot is the one of
`drift`, with the `details` of models beside.
"""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.live import snapshot
from ollama_policy.live.connect import details_of
from ollama_policy.live.runners.processes import variables_of
from ollama_policy.live.snapshot import NoAnswer, OnDisk, ServerState
from ollama_provider.ollama.answers import Connection, InstalledModel, ModelDetails
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.http.transport import no_answer
from ollama_provider.ollama.kinds import is_called_elsewhere, runs_elsewhere
from ollama_provider.ollama.names import InvalidNameError, ModelName
from ollama_provider.ollama.versions import version_in

_SERVERS_AT_ONCE: Final = 64
_DETAILS: Final = frozenset(("blob", "context_length", "capabilities", "parent", "num_ctx", "metadata"))


class Asked(NamedTuple):
    """A server to look at, whether a person named it, and the models whose details are wanted."""

    connection: Connection
    is_given: bool
    names: Collection[ModelName]


class ServerDetails(NamedTuple):
    """What one server said. `is_here`: it is asked now, and is on this machine.

    `variables` are those that its process runs with, of what bounds caches; None where that does not show them.
    """

    seen: ServerState
    details: Mapping[ModelName, ModelDetails]
    is_here: bool = False
    variables: Mapping[str, str] | None = None


async def look(asked: Sequence[Asked], seconds: float) -> list[ServerDetails | NoAnswer]:
    """What each says, in their order, within so many seconds each; the failure of one is its own."""
    turns = asyncio.Semaphore(_SERVERS_AT_ONCE)

    async def one(server: Asked) -> ServerDetails | NoAnswer:
        async with turns:
            return await _look(server, seconds)

    return await asyncio.gather(*map(one, asked))


async def _look(asked: Asked, seconds: float) -> ServerDetails | NoAnswer:
    url = asked.connection.url
    try:
        async with asyncio.timeout(seconds), Ollama(asked.connection) as client:
            version = await client.supported_version()
            installed, running = await asyncio.gather(client.installed(), client.running())
            here = (name for name in asked.names if name in installed)
            details = await details_of(client, [name for name in here if _is_told(name, installed[name], version)])
            on_disk = {name: OnDisk.of(model) for name, model in installed.items()}
            seen = ServerState(url, asked.is_given, version, on_disk, running)
            if not client.is_on_this_machine:
                return ServerDetails(seen, details)
            return ServerDetails(seen, details, True, await asyncio.to_thread(variables_of, url))
    except TimeoutError:
        return NoAnswer(url, asked.is_given, no_answer(f"{seconds:g} s", url))
    except OllamaError as error:
        return NoAnswer(url, asked.is_given, error.words)
    except Exception as error:  # noqa: BLE001 - whatever a server makes of itself, the others are looked at
        words = asked.connection.redact(f"{type(error).__name__}: {error}"[:200])
        return NoAnswer(url, asked.is_given, f"it could not be looked at: {words}")


def _is_told(name: ModelName, model: InstalledModel, version: str) -> bool:
    """Whether it is this server that answers for it."""
    return not runs_elsewhere(model) and not is_called_elsewhere(name, model, version_in(version))


def to_json(servers: Sequence[ServerDetails | NoAnswer]) -> str:
    """The text of a snapshot."""
    document = json.loads(snapshot.to_json([one.seen if isinstance(one, ServerDetails) else one for one in servers]))
    for written, server in zip(document["servers"], servers, strict=True):
        if isinstance(server, ServerDetails):
            written["details"] = {str(name): asdict(one) for name, one in server.details.items()}
    return json.dumps(document, indent=2) + "\n"


def from_json(data: bytes) -> list[ServerDetails | NoAnswer]:
    """The servers of a snapshot; one that `drift` recorded has no details. Raises UnreadableError."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(getattr(error, "pos", 0), f"no JSON ({error})", "a snapshot") from None
    servers = document.get("servers") if isinstance(document, dict) else None
    entries = servers if isinstance(servers, list) else []
    details = [_details(one.pop("details", {})) if isinstance(one, dict) else {} for one in entries]
    seen = snapshot.from_json(json.dumps(document).encode())
    return [
        one if isinstance(one, NoAnswer) else ServerDetails(one, of_one)
        for one, of_one in zip(seen, details, strict=True)
    ]


def _details(value: Any) -> dict[ModelName, ModelDetails]:
    if not isinstance(value, dict):
        raise UnreadableError(0, "details that are not an object", "what `fit --record` writes")
    found = {}
    for name, one in value.items():
        try:
            parsed = ModelName.parse(name)
        except InvalidNameError as error:
            raise UnreadableError(0, f"details of {error}", "a model's name") from None
        if not isinstance(one, dict) or one.keys() != _DETAILS or not _are_details(one):
            raise UnreadableError(0, f"details of {name} that are none", "what `fit --record` writes")
        found[parsed] = ModelDetails(**{**one, "capabilities": tuple(one["capabilities"])})
    return found


def _are_details(one: Mapping[str, Any]) -> bool:
    is_num_ctx = one["num_ctx"] is None or (isinstance(one["num_ctx"], int) and one["num_ctx"] > 0)
    has_texts = isinstance(one["blob"], str) and isinstance(one["parent"], str)
    return is_num_ctx and has_texts and isinstance(one["metadata"], dict) and isinstance(one["capabilities"], list)
