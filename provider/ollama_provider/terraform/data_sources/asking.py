"""What the data sources that ask a server share: its address, and the moment's view, two requests for all of them."""

from collections.abc import Sequence
from typing import Final

from ollama_provider.apply.server import Server, View
from ollama_provider.apply.states import OUTPUTS
from ollama_provider.model import problems_of
from ollama_provider.ollama.answers import InstalledModel
from ollama_provider.ollama.names import ModelName
from ollama_provider.terraform.declared import OUTPUT_TYPES
from ollama_provider.terraform.protocol.provider import DataSource, Diagnostic, Values
from ollama_provider.terraform.protocol.schema import Attribute
from ollama_provider.terraform.protocol.values import BOOL, STRING, UNKNOWN, Type
from ollama_provider.terraform.session import SessionOf, diagnosed, diagnostics_of

HOST: Final = Attribute(
    type=STRING, description="The server, as in OLLAMA_HOST. Overrides the provider's own.", optional=True
)


def computed(type_: Type, description: str) -> Attribute:
    return Attribute(type=type_, description=description, computed=True)


_FROM_TAGS = ("digest", "size", "family", "parameter_size", "quantization_level")
# What /api/tags and /api/ps say of one model on disk.
ON_DISK: Final = {name: computed(OUTPUT_TYPES[name], OUTPUTS[name]) for name in _FROM_TAGS} | {
    "modified_at": computed(STRING, "When the name was last given this content, in RFC 3339."),
    "in_memory": computed(BOOL, "Whether the model is in memory."),
    "pinned": computed(BOOL, OUTPUTS["pinned"]),
}


class AskingDataSource(DataSource):
    """One whose configuration is a `host`, and a model's `name` where it has one."""

    def __init__(self, session: SessionOf) -> None:
        self._session = session

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        declared = {name: config.get(name, UNKNOWN) for name in ("name", "host")}
        unknown = {name for name, value in declared.items() if value is UNKNOWN}
        return diagnostics_of(problems_of(declared, unknown))

    def server(self, config: Values) -> Server:
        return self._session().server(config["host"])

    async def view(self, config: Values) -> View:
        with diagnosed():
            return await self.server(config).view()


def on_disk(model: InstalledModel, view: View) -> Values:
    """The values of ON_DISK."""
    held = held_by(model.name, view)
    return {name: getattr(model, name) for name in (*_FROM_TAGS, "modified_at")} | {
        "in_memory": bool(held),
        "pinned": any(held),
    }


def held_by(name: ModelName, view: View) -> list[bool]:
    """Whether each of a name's runners is pinned: one, or more where it moved to other content meanwhile."""
    return [view.running.is_pinned(model) for model in view.running.models if model.name == name]
