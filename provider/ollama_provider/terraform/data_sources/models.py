"""`ollama_models`: all that a server has on disk."""

from ollama_provider.terraform.data_sources.asking import HOST, ON_DISK, AskingDataSource, computed, on_disk
from ollama_provider.terraform.protocol.provider import Values
from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.values import STRING, list_of, object_of

_MODEL = object_of({"name": STRING} | {name: attribute.type for name, attribute in ON_DISK.items()})


class ModelsDataSource(AskingDataSource):
    name = "ollama_models"
    schema = Schema(
        description="All models on a server's disk.",
        attributes={
            "host": HOST,
            "models": computed(list_of(_MODEL), "The models by name, as `ollama_model` describes each."),
        },
    )

    async def read(self, config: Values) -> Values:
        view = await self.view(config)
        models = [{"name": str(name)} | on_disk(model, view) for name, model in view.installed.items()]
        return config | {"models": sorted(models, key=lambda model: model["name"])}
