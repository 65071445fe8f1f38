"""What one version of Ollama refuses of a declaration, and another takes. The version is the server's to say."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_provider.apply.server import Server
from ollama_provider.files.gguf import is_split_name, parts
from ollama_provider.model import ModelDeclaration, Problem
from ollama_provider.ollama.parameters import REMOVED_PARAMETERS, is_refused_by_some
from ollama_provider.ollama.versions import Behavior, Version, dotted, version_in


def may_be_refused(values: Mapping[str, Any]) -> bool:
    """Whether known inputs are such that a server has to be asked for its version."""
    has_removed = any(map(is_refused_by_some, values.get("parameters") or {}))
    return has_removed or is_split_name(values.get("gguf") or "")


async def refused_by(server: Server, declared: ModelDeclaration) -> Problem | None:
    """What this server refuses. Raises OllamaError where it has to be asked and does not answer."""
    if not may_be_refused({"parameters": declared.parameters, "gguf": declared.gguf}):
        return None
    text = await server.version()
    version = version_in(text)
    return _removed_parameter(declared, version) or await asyncio.to_thread(_split_file, declared, version, text)


def _removed_parameter(declared: ModelDeclaration, version: Version | None) -> Problem | None:
    for name in filter(is_refused_by_some, declared.parameters or {}):
        removed = REMOVED_PARAMETERS[name]
        since = removed.behavior.since
        if since and removed.behavior.holds(version, if_unknown=False):
            expected = (
                f"a parameter that the server takes; Ollama refuses this from {dotted(since)} on: use {removed.note}"
            )
            return Problem(("parameters",), f'"{name}"', expected)
    return None


def _split_file(declared: ModelDeclaration, version: Version | None, text: str) -> Problem | None:
    since = Behavior.KEEPS_SPLIT_GGUF.since
    if since is None or declared.gguf is None or Behavior.KEEPS_SPLIT_GGUF.holds(version, if_unknown=True):
        return None
    if (count := len(parts(Path(declared.gguf)))) == 1:
        return None
    expected = (
        f"a GGUF in one file: the server's Ollama {text} cannot run one of {count} files, from {dotted(since)} on it "
        "can. Merge them with `llama-gguf-split --merge`, or update the server"
    )
    return Problem(("gguf",), f'"{declared.gguf}"', expected)
