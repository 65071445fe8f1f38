"""`ollama_server`: which Ollama it is, and what it holds."""

from ollama_provider.ollama.leaks import fixed_in, leaks_in
from ollama_provider.ollama.versions import version_in
from ollama_provider.terraform.data_sources.asking import HOST, AskingDataSource, computed
from ollama_provider.terraform.protocol.provider import Values
from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.values import NUMBER, STRING, list_of
from ollama_provider.terraform.session import diagnosed


class ServerDataSource(AskingDataSource):
    name = "ollama_server"
    schema = Schema(
        description="An Ollama server: its version, and what it holds on disk and in memory.",
        attributes={
            "host": HOST,
            "url": computed(STRING, "The server's address."),
            "version": computed(STRING, "The version that the server reports, such as `0.34.3`."),
            "known_leaks": computed(
                list_of(STRING),
                "The leaks that this version is known to have, with the numbers of Ollama's issues; empty if none is "
                "known.",
            ),
            "mended_in": computed(STRING, "The next version without these leaks; null if there are none."),
            "models": computed(NUMBER, "How many models are on disk."),
            "bytes_on_disk": computed(
                NUMBER, "The sum of their sizes. A file that several models share counts for each."
            ),
            "running": computed(NUMBER, "How many models are in memory."),
            "bytes_in_memory": computed(NUMBER, "The sum of their sizes in memory, as Ollama estimates them."),
            "bytes_in_vram": computed(NUMBER, "How much of that is in the memory of GPUs."),
        },
    )

    async def read(self, config: Values) -> Values:
        server, view = self.server(config), await self.view(config)
        with diagnosed():
            text = await server.version()
        version, running = version_in(text), view.running.models
        leaks = leaks_in(version) if version else []
        return config | {
            "url": server.client.url,
            "version": text,
            "known_leaks": [f"{leak.what} ({leak.issues})" for leak in leaks],
            "mended_in": ".".join(map(str, fixed_in(version))) if version and leaks else None,
            "models": len(view.installed),
            "bytes_on_disk": sum(model.size for model in view.installed.values()),
            "running": len(running),
            "bytes_in_memory": sum(model.size for model in running),
            "bytes_in_vram": sum(model.size_vram for model in running),
        }
