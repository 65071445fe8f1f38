"""The server that the provider of a `resource "ollama_model"` block is configured with, by its `provider` blocks."""

from typing import Any

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language.blocks import Attribute, attribute
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.modules.module import Instance

DEFAULT = "ollama"  # what a resource takes that names no provider


def label_of(attributes: list[Attribute]) -> str:
    """The provider that a block names: `ollama.gpu`."""
    named = next((each for each in attributes if each.name == "provider"), None)
    if named is None:
        return DEFAULT
    written = str(named.node.value).removeprefix("${").removesuffix("}") if named.is_json else named.text
    return written.strip()


def host_of(label: str, instance: Instance) -> Any:
    """The host that the provider says: a text, empty where it says none, or Unknown, the same for one provider."""
    return instance.once("provider", label, lambda _: _host(label, instance))


def _host(label: str, instance: Instance) -> Any:
    unknown = Unknown(f"the host of provider {instance.prefix}{label}")
    if instance.has_providers:
        return unknown
    blocks = instance.folder.providers.get(label)
    if blocks is not None:
        host = next((host for block in reversed(blocks) if (host := attribute(block, "host")) is not None), None)
        value: Any = None if host is None else evaluate(host, instance.scope())
        if isinstance(value, Unknown):
            return Unknown(f"{unknown.reason}: {value.reason}")
        return value or "" if value is None or isinstance(value, str) else unknown
    if "." in label:
        return unknown
    # A module that is handed none has its caller's.
    return "" if instance.caller is None else host_of(label, instance.caller)
