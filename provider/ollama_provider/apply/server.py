"""One server as the lifecycle sees it: shared by all resources of a process, looked at once for all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ollama_provider.apply.handover import Handover
from ollama_provider.ollama.answers import Connection, InstalledModel, Running
from ollama_provider.ollama.names import ModelName, server_key

if TYPE_CHECKING:
    from ollama_provider.ollama.http.api import Ollama

VIEW_SECONDS = 2.0
REFRESH_SECONDS = 10.0  # a refresh of a thousand models takes several seconds, and is one look


@dataclass(frozen=True)
class View:
    """What a server has on disk and in memory at one moment."""

    installed: dict[ModelName, InstalledModel]
    running: Running


class Server:
    """A client, the moment's view of the server, and the turn-taking of those who change its memory.

    `placing` is held by whoever loads or unloads: two models on one blob must not be placed at the same time.
    `made` are the names that were created or updated in this run. Where a resource moves in a program, or is replaced,
    the old one may be deleted after, or while, the new one takes the same model over: then it is not the old one's.
    `pinned` are the digests of those that this run has pinned, and not unloaded since.
    `handover` is what resources of this run leave to others of it.
    """

    def __init__(self, client: "Ollama") -> None:
        self.client = client
        self.placing = asyncio.Lock()
        self.made: set[ModelName] = set()
        self.pinned: dict[ModelName, str] = {}
        self.handover = Handover()
        self._turns: dict[ModelName, asyncio.Lock] = {}
        self._looking = asyncio.Lock()
        self._view: View | None = None
        self._viewed_at = 0.0
        self._changes = 0
        self._asking_version = asyncio.Lock()
        self._version = ""
        self._is_fit = False
        self._has_told = False

    def tell_withheld(self, report: Callable[[str], None]) -> None:
        """Says once that a credential which there is is not for this server."""
        if (why := self.client.connection.withheld) and not self._has_told:
            self._has_told = True
            report(f"{self.client.url} is asked without a credential: {why}")

    @asynccontextmanager
    async def turn(self, *names: ModelName) -> AsyncIterator[None]:
        """Held by whoever creates, changes or deletes these names."""
        async with AsyncExitStack() as turns:
            for name in sorted(set(names), key=str):  # in one order everywhere, so that nobody waits in a circle
                await turns.enter_async_context(self._turns.setdefault(name, asyncio.Lock()))
            yield

    async def view(self, within: float = VIEW_SECONDS) -> View:
        """Two requests for everybody who asks within so many seconds; never a view from before a change of ours."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self._view is None or now - self._viewed_at > within:
                changes = self._changes
                view = View(*await asyncio.gather(self.client.installed(), self.client.running()))
                if changes != self._changes:
                    return view
                self._view, self._viewed_at = view, now
            return self._view

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around each change: what was seen until then, or meanwhile, is no longer so."""
        self._forget_view()
        try:
            yield
        finally:
            self._forget_view()

    def _forget_view(self) -> None:
        self._changes += 1
        self._view = None

    async def version(self) -> str:
        """The server's version in its own words, asked once for everybody."""
        async with self._asking_version:
            self._version = self._version or await self.client.version()
            return self._version

    async def be_fit(self) -> None:
        """Looks once at the version. Raises NotOllamaError for a server that is too old, or no Ollama at all."""
        if self._is_fit:
            return
        self.client.require_supported(await self.version())
        self._is_fit = True


class Servers:
    """The servers of one process, one object a connection. Belongs to one event loop."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, str | None, frozenset[tuple[str, str]], str | None], Server] = {}

    def at(self, connection: Connection) -> Server:
        where = server_key(connection.url)  # those who say localhost and those who say 127.0.0.1 take turns
        key = (where, connection.token, frozenset(connection.headers.items()), connection.ca_file)
        if key not in self._servers:
            from ollama_provider.ollama.http.api import Ollama  # noqa: PLC0415 - httpx, for those who really ask a server

            self._servers[key] = Server(Ollama(connection))
        return self._servers[key]

    async def close(self) -> None:
        await asyncio.gather(*(server.client.close() for server in self._servers.values()))
        self._servers.clear()
