"""Releases of Ollama that lose memory by defects of their own, which a later release fixes and no setting helps.

From the issues of ollama/ollama whose numbers stand with each. Not here, as no release fixes them: the prompt cache of
llama-server (18264), which LLAMA_ARG_CACHE_RAM bounds, and MLX's runner (16698, 17875), which keeps the KV cache of
prompts, up to 8 GiB that no variable bounds (mlxrunner/prefix_cache.go:43 of 0.34.3).
"""

from typing import NamedTuple

from ollama_provider.ollama.versions import Version, is_within


class Leak(NamedTuple):
    """Versions from `first` on and before `fixed`."""

    what: str
    issues: str
    first: Version
    fixed: Version


LEAKS = (
    Leak("system memory of gemma3 grows", "10040", (0, 6, 0), (0, 6, 6)),
    Leak("memory of images is not released", "10434", (0, 6, 6), (0, 6, 8)),
    Leak("structured outputs leak", "10688", (0, 6, 0), (0, 7, 0)),
    Leak("runners stay in VRAM without /api/ps showing them", "10433", (0, 6, 6), (0, 7, 1)),
)


def leaks_in(version: Version) -> list[Leak]:
    """What a version is known to lose memory by, and a later one does not."""
    return [leak for leak in LEAKS if is_within(version, leak.first, leak.fixed)]


def fixed_in(version: Version) -> Version:
    """The first version from this one on in which none of the leaks is."""
    while leaks := leaks_in(version):
        version = max(leak.fixed for leak in leaks)
    return version
