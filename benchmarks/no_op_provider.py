"""A Terraform provider with `ollama_model`'s schema that does nothing: what Terraform and gRPC cost by themselves.

Run as a script it is the plugin.
"""

from collections.abc import Sequence
from typing import Any

from ollama_provider.terraform.protocol import plugin
from ollama_provider.terraform.protocol.provider import Diagnostic, Plan, Private, Provider, Resource, Result, Values


class NoOpModel(Resource):
    """Keeps what was declared."""

    name = "ollama_model"

    def __init__(self) -> None:
        from ollama_provider.terraform.declared import model_schema  # noqa: PLC0415 - after the handshake

        self.schema = model_schema()

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        return ()

    async def plan(self, prior: Values | None, config: Values, private: Private) -> Plan:
        return Plan(prior or dict.fromkeys(self.schema.attributes) | config | {"id": config["name"]})

    async def create(self, planned: Values, config: Values) -> Result:
        return Result(planned)

    async def update(self, prior: Values, planned: Values, config: Values, private: Private) -> Result:
        return Result(planned)

    async def delete(self, prior: Values, private: Private) -> Sequence[Diagnostic]:
        return ()

    async def read(self, state: Values, private: Private) -> Result:
        return Result(state)

    async def adopt(self, import_id: str) -> Values:
        raise NotImplementedError


class NoOpProvider(Provider):
    def __init__(self) -> None:
        from ollama_provider.terraform.provider import SCHEMA  # noqa: PLC0415

        self.schema = SCHEMA
        self.resources = (NoOpModel(),)
        self.data_sources = ()
        self.functions = ()

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        return ()

    def configure(self, config: Values) -> None:
        pass

    async def close(self) -> None:
        pass


def main() -> Any:
    plugin.serve(NoOpProvider)


if __name__ == "__main__":
    main()
