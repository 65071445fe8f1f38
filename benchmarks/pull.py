"""A pull through our lifecycle against Ollama's own command line: same blobs, same registry, same server."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from benchmarks.measuring import Report, Result, interleaved, ratio, server_in_folder, timed
from ollama_provider.apply.server import Servers
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle
from tests.engines.errors import EngineError
from tests.engines.ollama_server import OllamaServer
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines

GOAL = 1.05
PAIRS = 9
PULUMI_RUNS = 3
EXAMPLE = Path(__file__).parents[1] / "examples" / "document"


def measure(engines: Engines, report: Report) -> list[Result]:
    with server_in_folder(engines) as (server, folder), Registry() as registry:
        # Weights of random numbers: 210 MB that nothing on the way can make less of.
        digest = write_llama(folder / "big.gguf", layers=12, width=1024, heads=8)
        registry.push("big", folder / "big.gguf")
        size = (folder / "big.gguf").stat().st_size
        puller = Puller(engines, server, registry, size, digest)
        seconds = interleaved({"create": puller.create, "ollama pull": puller.command_line}, PAIRS, report)
        results = [ratio(f"create, {size / 1e6:.0f} MB", seconds["create"], seconds["ollama pull"], GOAL)]
        with PulumiStack(engines, folder / "pulumi", EXAMPLE, {"OLLAMA_HOST": server.url}) as stack:
            values = {"model": puller.name, "insecure": "true", "memory_management": "automatic"}
            for key, value in values.items():
                stack.config(key, value)
            runs = {"pulumi up": lambda: puller.apply(stack), "ollama pull": puller.command_line}
            seconds = interleaved(runs, PULUMI_RUNS, report)
        return [*results, ratio("a whole pulumi up with it", seconds["pulumi up"], seconds["ollama pull"], None)]


class Puller:
    """Each of its runs begins without the model and ends with it, all of its bytes fetched again."""

    def __init__(self, engines: Engines, server: OllamaServer, registry: Registry, size: int, digest: str) -> None:
        self.engines, self.server, self.registry = engines, server, registry
        self.size, self.digest = size, digest
        self.name = registry.reference("big")

    def create(self) -> float:
        values = {"name": self.name, "insecure": True}

        async def pulls() -> None:
            servers = Servers()
            settings = ProviderSettings(host=self.server.url)
            await Lifecycle(settings, servers, lambda _line: None).create(values)
            await servers.close()

        self.forget()
        seconds = timed(lambda: asyncio.run(pulls()))
        self.check()
        return seconds

    def command_line(self) -> float:
        command = [str(self.engines.ollama), "pull", "--insecure", self.name]
        self.forget()
        seconds = timed(
            lambda: subprocess.run(command, env=self.server.environment, capture_output=True, timeout=120, check=True)
        )
        self.check()
        return seconds

    def apply(self, stack: PulumiStack) -> float:
        stack.destroy()
        self.forget()
        seconds = stack.up().seconds
        self.check()
        return seconds

    def forget(self) -> None:
        if self.server.tags():
            self.server.call("DELETE", "/api/delete", {"model": self.name}).raise_for_status()
        self.registry.requests.clear()

    def check(self) -> None:
        served = self.registry.blob_bytes_served(self.digest)
        if served < self.size or [entry["name"] for entry in self.server.tags()] != [self.name]:
            raise EngineError(f"the pull was none: {served} of {self.size} bytes were fetched")
