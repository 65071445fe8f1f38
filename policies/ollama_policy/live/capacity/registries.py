"""What models that no server has yet are made of, out of the registries that they will be pulled from.

Anonymous, and a few MiB of each: a manifest, and the beginning of its GGUF.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.http.transport import Transport
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.registry_header import RegistryModel, registry_model

_AT_ONCE: Final = 8

OfRegistry = Mapping[ModelName, RegistryModel | str]


async def ask(wanted: Mapping[ModelName, bool], seconds: float) -> OfRegistry:
    """The models by name, or in words why not. `wanted` says of each whether plain HTTP will do.

    Each has so many seconds; the failure of one is its own.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(client: httpx.AsyncClient, name: ModelName, insecure: bool) -> RegistryModel | str:
        async with turns:
            try:
                async with asyncio.timeout(seconds):
                    return await registry_model(name, client, insecure=insecure)
            except TimeoutError:
                return f"no answer of {name.registry} within {seconds:g} s"
            except OllamaError as error:
                return f"{error.server}: {error.words}"

    async with httpx.AsyncClient(transport=Transport(), trust_env=False, timeout=seconds) as client:
        found = await asyncio.gather(*(one(client, name, insecure) for name, insecure in wanted.items()))
    return dict(zip(wanted, found, strict=True))
