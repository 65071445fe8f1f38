"""What the resources of one run leave to each other on a server, where a name goes from one of them to another."""

import asyncio
from contextlib import suppress

from ollama_provider.apply.ownership import Origin
from ollama_provider.ollama.names import ModelName

LONGEST_HEARING_SECONDS = 2.0


class Handover:
    """`pins_left` are the names whose pin a resource left to the one that declares the name now, and `not_taken` those
    that such a resource could not take over.
    """

    def __init__(self) -> None:
        self.pins_left: set[ModelName] = set()
        self.not_taken: set[ModelName] = set()
        self._given_up: dict[ModelName, tuple[Origin, str | None]] = {}
        self._news = asyncio.Event()

    def give_up(self, name: ModelName, origin: Origin, digest: str | None) -> None:
        """Notes whose a model was, and the digest of what was left; None stands for any."""
        self._given_up[name] = origin, digest
        self._news.set()

    def forget(self, name: ModelName) -> None:
        """Of a model that is deleted."""
        self._given_up.pop(name, None)

    def was_given_up(self, name: ModelName) -> bool:
        return name in self._given_up

    def origin_of(self, name: ModelName, digest: str) -> Origin:
        """Whose the content of this digest was in this stack, which may go on as its own; else it is found."""
        origin, left = self._given_up.get(name, (Origin.FOUND, None))
        return origin if left in (None, digest) else Origin.FOUND

    async def hear(self, name: ModelName) -> None:
        """Waits a moment for whoever gives a name up: the other one of an exchange may not have begun yet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_HEARING_SECONDS):
                while name not in self._given_up:
                    self._news.clear()
                    await self._news.wait()
