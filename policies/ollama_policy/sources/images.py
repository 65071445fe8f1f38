"""Which container images run Ollama."""

import re
from typing import Final

from ollama_policy.images import Image

_LONGEST: Final = 1000
_FILLED_IN: Final = re.compile(r"\{\{.*?\}\}|\$\{[^${}]*\}|\$[A-Za-z_][A-Za-z0-9_]*")


def is_ollama(reference: str) -> bool:
    """Whether an image is Ollama's server: its own, a mirror of it or a build of it, by the last part of its name.

    Not `open-webui:ollama`, `ollama-webui` or `litellm`: these have an Ollama at most beside what they are. A registry
    or a tag may be a reference, as in `${REGISTRY}/ollama/ollama:{{ version }}`.
    """
    if len(reference) > _LONGEST:
        return False
    found = 1 if "$" in reference or "{{" in reference else 0
    while found:  # references may stand in the defaults of others
        reference, found = _FILLED_IN.subn("x", reference)
    return Image.parse(reference).repository.rpartition("/")[2].lower() == "ollama"
