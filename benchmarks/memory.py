"""What calls leave in a pinned model's memory (the document's M), and what its unload gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from statistics import linear_regression
from typing import Any

import psutil

from benchmarks.measuring import Report, Result, server_in_folder
from ollama_provider.apply.server import Servers
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.ollama.sizes import MIB
from tests.engines.ollama_server import OllamaServer
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines

CALLS = 200
EVERY = 50


def measure(engines: Engines, report: Report) -> list[Result]:
    with server_in_folder(engines) as (server, folder):
        write_llama(folder / "tiny.gguf", layers=8, width=512, heads=8)
        # One thread: on a busy machine several wait for each other longer than they compute.
        parameters = {"num_predict": 4, "num_thread": 1}
        server.create_from_gguf("tiny", folder / "tiny.gguf", parameters=parameters)
        values = {"name": "tiny", "memory_management": "manual"}
        state = asyncio.run(applied(server, values))
        resident = [server.runner_resident_bytes()]
        for number in range(1, CALLS + 1):
            generate(server)
            resident.append(server.runner_resident_bytes())
            if number % EVERY == 0:
                report(f"call {number}: {resident[-1] / MIB:.2f} MiB")
        own = own_resident_bytes(server)
        asyncio.run(applied(server, {**values, "resident": False}, state))
        return [
            *(
                Result(f"the runner's RSS after call {number}", resident[number] / MIB, "MiB")
                for number in range(0, CALLS + 1, EVERY)
            ),
            slope(resident, EVERY, CALLS),
            slope(resident, CALLS - EVERY, CALLS),
            Result("runner processes left after the unload", len(server.runners()), ""),
            Result("given back by the unload", (resident[-1] - server.runner_resident_bytes()) / MIB, "MiB"),
            Result("Ollama's own RSS before the unload", own / MIB, "MiB"),
            Result("Ollama's own RSS after it", own_resident_bytes(server) / MIB, "MiB"),
        ]


async def applied(
    server: OllamaServer, values: Mapping[str, Any], state: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    servers = Servers()
    lifecycle = Lifecycle(ProviderSettings(host=server.url), servers, lambda _line: None)
    after = await (lifecycle.update(state, values) if state else lifecycle.create(values))
    await servers.close()
    return after


def generate(server: OllamaServer) -> None:
    body = {"model": "tiny", "prompt": "hello", "stream": False}
    server.call("POST", "/api/generate", body).raise_for_status()


def slope(resident: list[int], first: int, last: int) -> Result:
    """What a call adds, by least squares."""
    calls = range(first, last + 1)
    fitted = linear_regression(calls, resident[first : last + 1])
    return Result(f"growth a call, from call {first} to {last}", fitted.slope, "bytes")


def own_resident_bytes(server: OllamaServer) -> int:
    assert server.process is not None
    rss: int = psutil.Process(server.process.pid).memory_info().rss
    return rss
