"""Releases of Ollama that lose memory by defects of their own, which no setting helps.

From the issues of ollama/ollama whose numbers stand with each. The prompt cache (18264) is no release's matter but a
setting's, LLAMA_ARG_CACHE_RAM.
"""

from typing import NamedTuple

from ollama_provider.ollama.versions import Version, is_within


class Leak(NamedTuple):
    """Versions from `first` on and before `fixed`. `is_mlx`: only of MLX's runner, which containers do not run."""

    what: str
    issues: str
    first: Version
    fixed: Version
    is_mlx: bool = False


LEAKS = (
    Leak("system memory of gemma3 grows", "10040", (0, 6, 0), (0, 6, 6)),
    Leak("memory of images is not released", "10434", (0, 6, 6), (0, 6, 8)),
    Leak("structured outputs leak", "10688", (0, 6, 0), (0, 7, 0)),
    Leak("runners stay in VRAM without /api/ps showing them", "10433", (0, 6, 6), (0, 7, 1)),
    Leak("MLX runners keep the KV cache of each request", "16698, 17875, 17924", (0, 30, 8), (0, 32, 16), is_mlx=True),
)


def leaks_in(version: Version, is_container: bool) -> list[Leak]:
    """What a version is known to lose memory by."""
    return [leak for leak in LEAKS if is_within(version, leak.first, leak.fixed) and not (leak.is_mlx and is_container)]


def mended_in(version: Version, is_container: bool) -> Version:
    """The first version from this one on in which none of the leaks is."""
    while leaks := leaks_in(version, is_container):
        version = max(leak.fixed for leak in leaks)
    return version
