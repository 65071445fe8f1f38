"""Which type of KV cache the variables of a server come to.

OLLAMA_KV_CACHE_TYPE is for keys and values. Ollama gives llama-server the options only where that is set
(llm/llama_server.go, 0.34.3), so where it is not, llama.cpp's own variables for each of the two count.
"""

from collections.abc import Callable
from typing import Final

from ollama_provider.ollama.settings.variables import trimmed
from ollama_provider.ollama.versions import Behavior, Version

OF_BOTH: Final = "OLLAMA_KV_CACHE_TYPE"
OF_KEYS, OF_VALUES = "LLAMA_ARG_CACHE_TYPE_K", "LLAMA_ARG_CACHE_TYPE_V"
VARIABLES: Final = (OF_BOTH, OF_KEYS, OF_VALUES)
NAMES: Final = f"{OF_BOTH}, {OF_KEYS} or {OF_VALUES}"
DEFAULT: Final = "f16"
# Bytes of a block of 32 elements (ggml-common.h), of every type that `--cache-type-k` takes (common/arg.cpp): the
# largest first.
BYTES_OF_32: Final = {
    "f32": 128,
    "f16": 64,
    "bf16": 64,
    "q8_0": 34,
    "q5_1": 24,
    "q5_0": 22,
    "q4_1": 20,
    "q4_0": 18,
    "iq4_nl": 18,
}

OF_LLAMA_CPP: Final = tuple(BYTES_OF_32)
OF_OLLAMA: Final = ("f16", "q8_0", "q4_0")  # all that Ollama takes before 0.30; from then on it hands the text on
UNQUANTISED: Final = frozenset(("", "f32", "f16", "bf16"))


def in_effect(text_of: Callable[[str], str], version: Version | None) -> tuple[str, str]:
    """The types of keys and of values. `text_of` gives the text of a variable, empty where it is not set."""
    if own := trimmed(text_of(OF_BOTH)).lower():
        return own, own
    if not Behavior.LLAMA_SERVER.holds(version, if_unknown=True):
        return DEFAULT, DEFAULT
    return text_of(OF_KEYS) or DEFAULT, text_of(OF_VALUES) or DEFAULT


def larger(keys: str, values: str) -> str:
    """The one of the two that takes more; one that llama.cpp does not have comes first."""
    by_size = [*BYTES_OF_32]
    return min(keys, values, key=lambda one: by_size.index(one) if one in BYTES_OF_32 else -1)
