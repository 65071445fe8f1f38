"""`ollama_running_models`: all that a server has in memory."""

from datetime import UTC

from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.terraform.data_sources.asking import HOST, AskingDataSource, computed
from ollama_provider.terraform.protocol.provider import Values
from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.values import BOOL, NUMBER, STRING, list_of, object_of

_RUNNING = {
    "name": STRING,
    "digest": STRING,
    "size": NUMBER,
    "size_vram": NUMBER,
    "context_length": NUMBER,
    "pinned": BOOL,
    "expires_at": STRING,
}


class RunningModelsDataSource(AskingDataSource):
    name = "ollama_running_models"
    schema = Schema(
        description="All models in a server's memory. They change between two plans: use them in outputs and checks "
        "rather than in resources.",
        attributes={
            "host": HOST,
            "models": computed(
                list_of(object_of(_RUNNING)),
                "The models by name. `digest` is their manifest's; `size` and `size_vram` are Ollama's own estimates "
                "in bytes; `context_length` is the context that they were loaded with; `expires_at` is when an idle "
                "one is released, in RFC 3339 by the server's clock, and null where it is `pinned`.",
            ),
        },
    )

    async def read(self, config: Values) -> Values:
        running = (await self.view(config)).running
        return config | {"models": [_shown(model, running) for model in sorted(running.models, key=_order)]}


def _order(model: RunningModel) -> tuple[str, str]:
    return str(model.name), model.digest


def _shown(model: RunningModel, running: Running) -> Values:
    is_pinned = running.is_pinned(model)
    return {
        "name": str(model.name),
        "digest": model.digest,
        "size": model.size,
        "size_vram": model.size_vram,
        "context_length": model.context_length,
        "pinned": is_pinned,
        "expires_at": None if is_pinned else model.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
