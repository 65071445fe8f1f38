"""What Pulumi calls an `ollama_model` and its properties, in programs, previews and states."""

import re
from typing import Any, Final

from ollama_policy.model.settings import Unknown

TYPES: Final = frozenset(
    ("pulumi-python:dynamic/ollama:Model", "ollama:index:Model", "ollama:index/model:Model", "ollama:Model")
)
# What a state holds beside what is declared (ollama_provider.apply.states.OUTPUTS; a test compares).
OUTPUTS: Final = frozenset(
    "id size family parameter_size quantization_level context_length capabilities origin pinned drift gguf_file".split()
)

_HUMP: Final = re.compile(r"(?<=[a-z0-9])[A-Z]")


def snake(key: str) -> str:
    """`keep_alive` of `keepAlive`; what is in snake case stays."""
    return _HUMP.sub(lambda hump: "_" + hump[0].lower(), key)


def first_unknown(value: Any) -> Unknown | None:
    """The first Unknown in a value of lists and dicts. Without recursion: nesting is the file's to choose."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, Unknown):
            return item
        if isinstance(item, dict):
            rest.extend(reversed(item.values()))
        elif isinstance(item, list):
            rest.extend(reversed(item))
    return None
