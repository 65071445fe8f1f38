"""What a container does, by its image and its commands: many that start from Ollama's image only pull a model."""

import re
from enum import Enum, auto
from typing import Final

from ollama_policy.model import images
from ollama_policy.sources.syntax.yaml_nodes import Node

_SERVES: Final = re.compile(r"\bollama['\",\s]{1,9}serve\b")
_CLIENT_VERBS: Final = "pull|run|create|list|ls|ps|show|push|cp|rm|stop|help|signin|launch"
_IS_CLIENT: Final = re.compile(rf"\bollama['\",\s]{{1,9}}(?:{_CLIENT_VERBS}|--version|-v)\b")
_PREPARES: Final = re.compile(r"\b(?:curl|wget|sleep|chown|chmod|mkdir|cp)\b|pull|init|load|warm|setup|download|model")


class Role(Enum):
    """What a container is. UNSURE: it starts from Ollama's image, and a script decides."""

    SERVER = auto()
    UNSURE = auto()
    OTHER = auto()


def role(image: str, entrypoint: str | None, command: str | None, *, is_short_lived: bool = False) -> Role:
    """`entrypoint` takes the place of the image's own (`/bin/ollama`), `command` that of `serve`.

    `is_short_lived`: it ends before, or runs beside, what the workload is for; one that serves only to pull is none.
    """
    text = f"{entrypoint or ''} {command or ''}"
    is_client = _IS_CLIENT.search(text) is not None
    if _SERVES.search(text):
        return Role.OTHER if is_short_lived and is_client else Role.SERVER
    if is_client or not images.is_ollama(image):
        return Role.OTHER
    words = (command or "").split()
    if entrypoint is None:
        if not words or words[0] == "serve":
            return Role.SERVER
        return Role.OTHER if re.fullmatch(_CLIENT_VERBS, words[0]) else Role.UNSURE
    if not text.strip():
        return Role.SERVER
    return Role.OTHER if _PREPARES.search(text) else Role.UNSURE


def command_text(node: Node | None) -> str | None:
    """A command, written as one text or as a list of words; None where there is none."""
    if node is None or node.is_null:
        return None
    return node.text if node.is_scalar else " ".join(item.text for item in node.items)
