"""One operation of the lifecycle, without an engine around it, from its beginning to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ollama_provider.apply.server import Servers
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle

Work = Callable[[Lifecycle], Awaitable[Any]]


def run_on(url: str, work: Work) -> Any:
    """What the work gives, as `run_on(server.url, lambda lifecycle: lifecycle.create({...}))`."""

    async def all_of_it() -> Any:
        servers = Servers()
        try:
            return await work(Lifecycle(ProviderSettings(host=url), servers, lambda line: None))
        finally:
            await servers.close()

    return asyncio.run(all_of_it())
