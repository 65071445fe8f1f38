"""The real Ollama and Pulumi: what PATH has in a fit version, else built from Go modules into the user's cache."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.engines.build import build
from tests.engines.errors import ToolchainError
from tests.engines.recipes import (
    OLLAMA,
    OLLAMA_MINIMUM,
    OPENTOFU,
    PULUMI,
    PULUMI_COMPANIONS,
    PULUMI_MINIMUM,
    Engine,
)

Version = tuple[int, ...]


@dataclass(frozen=True)
class Engines:
    """Two usable tools and the folders which must come first on PATH."""

    ollama: Path
    pulumi: Path
    path_entries: tuple[Path, ...]

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` with this interpreter's folder and the tools' first on PATH.

        The interpreter comes before all: Pulumi's language host runs the `python3` that PATH has.
        """
        first = [str(Path(sys.executable).parent), *map(str, self.path_entries)]
        rest = [entry for entry in base.get("PATH", os.defpath).split(os.pathsep) if entry not in first]
        return {**base, "PATH": os.pathsep.join(first + rest)}


def find_or_build(report: Callable[[str], None]) -> Engines:
    """Both tools; `report` gets a line of progress at least every 5 s while something is built.

    Raises ToolchainError, whose text is one clear line (a failed build adds the last lines of its log).
    """
    ollama = find_ollama() or built(OLLAMA, report) / "ollama"
    pulumi = find_pulumi() or built(PULUMI, report) / "pulumi"
    entries = dict.fromkeys(tool.parent for tool in (pulumi, ollama))
    return Engines(ollama, pulumi, tuple(entries))


def find_or_build_opentofu(report: Callable[[str], None]) -> Path:
    """OpenTofu on PATH, else a built one. Of its own, since it takes minutes to build and few tests need it."""
    found = shutil.which("tofu")
    return Path(found) if found else built(OPENTOFU, report) / "tofu"


def find_ollama() -> Path | None:
    """Ollama on PATH, when at least 0.10."""
    found = shutil.which("ollama")
    version = version_of([found, "--version"]) if found else None
    return Path(found) if found and version and version >= OLLAMA_MINIMUM else None


def find_pulumi() -> Path | None:
    """Pulumi on PATH, when at least 3.200 and with all that Python programs and dynamic resources need."""
    found = shutil.which("pulumi")
    if not found or not all(shutil.which(name) for name in PULUMI_COMPANIONS):
        return None
    version = version_of([found, "version"])
    return Path(found) if version and version >= PULUMI_MINIMUM else None


def version_of(command: list[str]) -> Version | None:
    """The last version number in what a tool prints about itself; None where it says none within 20 s."""
    # Ollama is asked where no server answers: otherwise it tells the server's version.
    environment = {**os.environ, "OLLAMA_HOST": "127.0.0.1:1", "PULUMI_SKIP_UPDATE_CHECK": "true"}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
        numbers = re.findall(r"\d+(?:\.\d+)+", ran.stdout + ran.stderr)
        if numbers and ran.returncode == 0:
            return tuple(map(int, numbers[-1].split(".")))
    return None


def built(engine: Engine, report: Callable[[str], None]) -> Path:
    """The folder with the engine's files, built when it is not there."""
    folder = cache() / engine.folder
    if not folder.is_dir():
        build(engine, folder, report)
    return folder


def cache() -> Path:
    """Where built engines live: `${XDG_CACHE_HOME:-~/.cache}/ollama-iac/engines`."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(base or Path.home() / ".cache") / "ollama-iac" / "engines"
    except RuntimeError as error:
        raise ToolchainError(f"no home folder for the cache, set XDG_CACHE_HOME: {error}") from error
