"""How a command that asks one server reaches it: by `--host` or OLLAMA_HOST, with a token as `drift` finds it."""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from typing import TypeVar

from ollama_policy.checking import CannotLookError
from ollama_policy.drift.fleet import Tokens
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.errors import OllamaError

Answer = TypeVar("Answer")


def connection(host: str | None, ca_file: str | None = None) -> Connection:
    """The connection to a server. Raises CannotLookError, whose text repeats no secret."""
    tokens = Tokens(os.environ)
    try:
        reached = ProviderSettings.read({"host": host, "ca_file": ca_file}, os.environ).connection(None)
    except InvalidDeclarationError as error:
        raise CannotLookError("; ".join(map(str, error.problems))) from None
    return replace(reached, token=tokens.of(reached.url, is_given=True))


def answered(asking: Coroutine[None, None, Answer]) -> Answer:
    """What a server answers. Raises CannotLookError where it does not, or is no Ollama."""
    try:
        return asyncio.run(asking)
    except OllamaError as error:
        raise CannotLookError(str(error)) from None
