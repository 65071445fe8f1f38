"""Names of models beyond those that the log has: from the manifests of a models folder, or from a server's /api/ps."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ollama_policy.commands.logs.model import Model
from ollama_policy.errors import CannotLookError
from ollama_policy.live.connect import answered, connection
from ollama_policy.text.named_files import read_named
from ollama_provider.ollama.answers import Running
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.sizes import text_of

_WEIGHTS: Final = "application/vnd.ollama.image.model"
_LARGEST: Final = 2**20  # bytes of a manifest; they have a few thousand


def name_by_manifests(models: Iterable[Model], folder: str) -> None:
    """Exact: a manifest names the digest of its weights. Raises CannotLookError."""
    root = Path(folder) / "manifests"
    if not root.is_dir():
        raise CannotLookError(
            f"--models {folder}: there is no folder `manifests` in it, expected one that Ollama keeps"
        )
    by_digest = {model.digest: model for model in models}
    for path in sorted(root.glob("*/*/*/*")):
        for digest in _weights(path):
            if digest in by_digest:
                host, namespace, name, tag = path.relative_to(root).parts
                by_digest[digest].name(f"{host}/{namespace}/{name}:{tag}")


def _weights(path: Path) -> list[str]:
    try:
        layers = json.loads(read_named(str(path), _LARGEST))["layers"]
        return [layer["digest"] for layer in layers if layer["mediaType"] == _WEIGHTS]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # no manifest, or a broken one


def name_by_host(models: Iterable[Model], host: str) -> None:
    """By size and context of what is in memory, where one model alone has them: /api/ps knows no digest of weights.

    Raises CannotLookError.
    """
    running = answered(_running(host))
    resident = [model for model in models if model.is_resident]
    for entry in running.models:
        size = text_of(entry.size)
        alike = [
            one for one in running.models if text_of(one.size) == size and one.context_length == entry.context_length
        ]
        fitting = [model for model in resident if model.size == size and model.context in (0, entry.context_length)]
        if len(alike) == len(fitting) == 1:
            fitting[0].name(str(entry.name))


async def _running(host: str) -> Running:
    async with Ollama(connection(host)) as ollama:
        return await ollama.running()
