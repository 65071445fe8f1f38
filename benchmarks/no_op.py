"""The floor of a dynamic resource: as many inputs and outputs as a model has, and no work at all."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi import dynamic

OUTPUTS = {
    "digest": "0" * 64,
    "size": 1,
    "family": "llama",
    "parameter_size": "0.1M",
    "quantization_level": "F16",
    "context_length": 2048,
    "capabilities": ["completion"],
    "pinned": True,
    "drift": "",
}


class NoOpProvider(dynamic.ResourceProvider):
    """Answers every call at once."""

    serialize_as_secret_always = False

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        """Takes nothing."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        return dynamic.CheckResult({"name": news["name"], "drift": ""}, [])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        return dynamic.DiffResult(changes=False)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult(props["name"], {"name": props["name"], **OUTPUTS})

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        return dynamic.ReadResult(id_, props, {"name": props["name"], "drift": ""})


class NoOpModel(dynamic.Resource, module="ollama", name="NoOp"):
    """What stands in a program where OllamaModel would."""

    digest: pulumi.Output[str]

    def __init__(self, resource_name: str, *, name: pulumi.Input[str]) -> None:
        super().__init__(NoOpProvider(), resource_name, {"name": name, **dict.fromkeys(OUTPUTS)})
