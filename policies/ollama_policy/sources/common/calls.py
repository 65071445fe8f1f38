"""What makes a text a call of Ollama's API: for what decides which files are read, and for what reads them."""

from collections.abc import Container
from typing import Final

_SERVER: Final = (b"ollama", b":11434")
# Of a body: no other API has these. As one word each, for the look at a whole text.
_FIELDS: Final = ("keep_alive", "options.num_ctx")
_WORDS: Final = (*_SERVER, *(field.rpartition(".")[2].encode() for field in _FIELDS))


def names_server(lowered: bytes) -> bool:
    """Whether a text, in lower case, names Ollama or the port that is its own."""
    return any(word in lowered for word in _SERVER)


def is_call(url: bytes, fields: Container[str]) -> bool:
    """Whether a call of a URL with these fields in its body is one of Ollama."""
    return names_server(url.lower()) or any(field in fields for field in _FIELDS)


def may_call(lowered: bytes) -> bool:
    """Whether a text, in lower case, may hold what `is_call` takes for a call."""
    return any(word in lowered for word in _WORDS)
