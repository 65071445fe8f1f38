"""`ollama_model`: one model that a server has on disk, whoever brought it there."""

import difflib
from collections.abc import Mapping
from typing import Any

from ollama_provider.apply.server import Server, View
from ollama_provider.apply.states import OUTPUTS, identity
from ollama_provider.model import declare
from ollama_provider.ollama.answers import ModelDetails
from ollama_provider.ollama.kinds import runs_elsewhere
from ollama_provider.ollama.names import ModelName
from ollama_provider.terraform.data_sources.asking import HOST, ON_DISK, AskingDataSource, computed, on_disk
from ollama_provider.terraform.declared import OUTPUT_TYPES
from ollama_provider.terraform.protocol.provider import Diagnostic, DiagnosticsError, Values
from ollama_provider.terraform.protocol.schema import Attribute, Schema
from ollama_provider.terraform.protocol.values import DYNAMIC, STRING, dynamic
from ollama_provider.terraform.session import diagnosed


class ModelDataSource(AskingDataSource):
    name = "ollama_model"
    schema = Schema(
        description="One model on a server's disk, whether Terraform manages it or not.",
        attributes={
            "name": Attribute(
                type=STRING,
                description="The model's name, `[registry[:port]/][namespace/]model[:tag]`. `llama3` is "
                "`llama3:latest`. A name that the server does not have is an error.",
                required=True,
            ),
            "host": HOST,
            "id": computed(
                STRING, "The model's name in full, with `@host` where `host` is given: what an import takes."
            ),
        }
        | ON_DISK
        | {name: computed(OUTPUT_TYPES[name], OUTPUTS[name]) for name in ("context_length", "capabilities")}
        | {
            "metadata": computed(
                DYNAMIC,
                "What the function `model_memory` takes: what the model's GGUF file says of its shape, such as "
                "`llama.block_count`, and its `size` in bytes.",
            )
        },
    )

    async def read(self, config: Values) -> Values:
        server = self.server(config)
        with diagnosed():
            declared = declare({name: config[name] for name in ("name", "host")})
            view = await server.view()
            model = view.installed.get(declared.model_name)
            if model is None:
                raise DiagnosticsError(_not_found(declared.model_name, server, view))
            # Of a model that runs elsewhere the server would ask that one.
            details = (
                ModelDetails("", 0, model.capabilities)
                if runs_elsewhere(model)
                else await server.client.show(model.name)
            )
        return (
            config
            | on_disk(model, view)
            | {
                "id": identity(declared),
                "context_length": details.context_length,
                "capabilities": list(details.capabilities),
                "metadata": dynamic(_shape(details.metadata) | {"size": model.size}),
            }
        )


def _shape(metadata: Mapping[str, Any]) -> dict[str, Any]:
    # The rest is licences, authors and the like, of any length.
    architecture = metadata.get("general.architecture")
    general = ("general.architecture", "general.parameter_count", "tokenizer.ggml.model")
    kinds = (f"{architecture}.", "clip.")
    return {key: value for key, value in metadata.items() if key in general or key.startswith(kinds)}


def _not_found(name: ModelName, server: Server, view: View) -> Diagnostic:
    close = difflib.get_close_matches(str(name), map(str, view.installed), 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    detail = (
        f"{server.client.url} does not have it on disk.{hint} Declare it as a resource and read it with "
        "`depends_on`, or pull it first."
    )
    return Diagnostic(f"There is no model {name}", detail, ("name",))
