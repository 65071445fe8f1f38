"""How a command that asks one server reaches it: by `--host` or OLLAMA_HOST, with a token as `drift` finds it."""

import asyncio
import os
from collections.abc import Collection, Coroutine
from typing import TYPE_CHECKING, Final, TypeVar

from ollama_policy.errors import CannotLookError
from ollama_policy.live.fleet import Tokens
from ollama_policy.text.escaping import shown
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.answers import HOST_VARIABLE, Connection, ModelDetails
from ollama_provider.ollama.errors import NotFoundError, OllamaError, RefusedError
from ollama_provider.ollama.kinds import HOLDS_NOTHING, runs_elsewhere, why_not_called
from ollama_provider.ollama.names import InvalidNameError, ModelName

if TYPE_CHECKING:
    from ollama_provider.ollama.http.api import Ollama

Answer = TypeVar("Answer")
_AT_ONCE: Final = 8
_EMBEDDING: Final = "embedding"


def connection(host: str | None, ca_file: str | None = None) -> Connection:
    """The connection to a server. Raises CannotLookError, whose text repeats no secret."""
    tokens = Tokens(os.environ)
    try:
        reached = ProviderSettings.read({"host": host, "ca_file": ca_file}, os.environ).connection(None)
    except InvalidDeclarationError as error:
        raise CannotLookError("; ".join(map(str, error.problems))) from None
    return tokens.connection(reached.url, is_given=True, ca_file=reached.ca_file)


def named_connection(host: str | None, ca_file: str | None, doing: str) -> Connection:
    """The connection of a command that acts on a server: never on one that nobody named. Raises CannotLookError."""
    if not host and not os.environ.get(HOST_VARIABLE):
        raise CannotLookError(f"{doing}: name the server with --host URL, or {HOST_VARIABLE}")
    return connection(host, ca_file)


def named_model(text: str, option: str = "") -> ModelName:
    """The name of a model that a command is to load, given as an argument or by an option.

    Raises CannotLookError where no server is to be asked for it.
    """
    said = f"{option} " if option else ""
    try:
        name = ModelName.parse(text)
    except InvalidNameError as error:
        raise CannotLookError(f"{said}{shown(text)}: {error}" if option else str(error)) from None
    if why := why_not_called(name):
        raise CannotLookError(f"{said}{name}: {why}")
    return name


async def installed_one(client: "Ollama", name: ModelName) -> None:
    """Raises an OllamaError where a server does not have a model that it answers prompts with by itself."""
    asked, there = f"the look for {name}", (await client.installed()).get(name)
    if there is None:
        raise NotFoundError(asked, client.url, "it is not on the server: pull it first")
    if where := runs_elsewhere(there):
        raise RefusedError(asked, client.url, f"it runs on {where}: {HOLDS_NOTHING}")
    if _EMBEDDING in there.capabilities and (await client.show(name)).only_embeds:
        raise RefusedError(asked, client.url, "it is an embedding model, which answers no prompt")


def answered(asking: Coroutine[None, None, Answer], late: str = "no answer in time") -> Answer:
    """What a server answers. Raises CannotLookError where it does not, is not Ollama, or is `late`.

    Of calls that were made at once, the first that failed is told.
    """
    try:
        return asyncio.run(asking)
    except (OllamaError, TimeoutError, ExceptionGroup) as error:
        first = _first(error)
        if not isinstance(first, OllamaError | TimeoutError):
            raise
        raise CannotLookError(str(first) if isinstance(first, OllamaError) else late) from None


async def details_of(client: "Ollama", names: Collection[ModelName]) -> dict[ModelName, ModelDetails]:
    """What /api/show says of each, a few at once: one costs a server up to 50 ms. Those deleted since are left out."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(name: ModelName) -> ModelDetails | None:
        async with turns:
            try:
                return await client.show(name)
            except NotFoundError:
                return None

    found = zip(names, await asyncio.gather(*map(one, names)), strict=True)
    return {name: details for name, details in found if details is not None}


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
