"""Ollama models as code: the resource, its lifecycle and the engines' adapters.

`from ollama_provider import OllamaModel` gives the Pulumi resource; Pulumi is imported only then.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ollama_provider.pulumi_dynamic import OllamaModel

__all__ = ["OllamaModel"]


def __getattr__(name: str) -> Any:
    if name == "OllamaModel":
        from ollama_provider.pulumi_dynamic import OllamaModel  # noqa: PLC0415 - costs 0.2 s to those who use no Pulumi

        return OllamaModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
