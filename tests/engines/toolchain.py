"""The real Ollama and Pulumi: what PATH has in a fit version, else built into the user's cache."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.engines.build import job_of
from tests.engines.building import Job, build_all
from tests.engines.errors import ToolchainError
from tests.engines.progress import ProgressLine
from tests.engines.recipes import (
    OLLAMA,
    OLLAMA_MINIMUM,
    OPENTOFU,
    PULUMI,
    PULUMI_COMPANIONS,
    PULUMI_MINIMUM,
    Engine,
)
from tests.engines.tools import Version, numbers, version_of

Report = Callable[[str], None]


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


@dataclass(frozen=True)
class Ollama:
    """An Ollama that can be started, and what it is: "0.34.3"."""

    version: str
    program: Path
    is_on_path: bool

    @property
    def numbers(self) -> Version:
        return numbers(self.version)


def find_or_build(report: Report, ollama: Ollama | None = None) -> Engines:
    """Pulumi, and Ollama: the one given, else the default as find_or_build_ollama() finds it.

    `report` gets a line of progress at most every 15 s while something is built. Raises ToolchainError, whose text is
    one clear line (a failed build adds the last lines of its log).
    """
    program = ollama.program if ollama else proven_on_path(OLLAMA)
    pulumi = find_pulumi()
    missing = [recipe for found, recipe in ((program, OLLAMA), (pulumi, PULUMI)) if not found]
    build_all([cached_job(recipe) for recipe in missing], line_of(report))
    program = program or built_program(OLLAMA)
    pulumi = pulumi or built_program(PULUMI)
    return Engines(program, pulumi, tuple(dict.fromkeys(tool.parent for tool in (pulumi, program))))


def find_or_build_ollama(report: Report, recipe: Engine = OLLAMA) -> Ollama:
    """The Ollama of a recipe: on PATH in exactly that version, else built. A test proves the version that it names."""
    if found := proven_on_path(recipe):
        return Ollama(recipe.version, found, is_on_path=True)
    build_all([cached_job(recipe)], line_of(report))
    return Ollama(recipe.version, built_program(recipe), is_on_path=False)


def find_or_build_fit_params(report: Report) -> Path:
    """llama-fit-params, llama.cpp's own dry run of a load: on PATH, else built with Ollama's default version."""
    if found := shutil.which("llama-fit-params"):
        return Path(found)
    build_all([cached_job(OLLAMA)], line_of(report))
    return cache() / OLLAMA.folder / OLLAMA.beside_libraries("llama-fit-params")


def find_or_build_opentofu(report: Report) -> Path:
    """OpenTofu on PATH, else a built one. Of its own, since it takes minutes to build and few tests need it."""
    return find_opentofu() or built(OPENTOFU, report) / "tofu"


def find_opentofu() -> Path | None:
    found = shutil.which("tofu")
    return Path(found) if found else None


def find_ollama() -> Ollama | None:
    """Ollama on PATH, when at least 0.10."""
    found = shutil.which("ollama")
    version = version_of([found, "--version"]) if found else None
    if not found or not version or version < OLLAMA_MINIMUM:
        return None
    return Ollama(".".join(map(str, version)), Path(found), is_on_path=True)


def proven_on_path(recipe: Engine) -> Path | None:
    """Ollama on PATH in the recipe's very version, complete with the llama-server that it needs."""
    found = find_ollama()
    if not found or found.version != recipe.version:
        return None
    home = found.program.resolve().parent.parent
    is_complete = recipe.native is None or (home / recipe.beside_libraries("llama-server")).is_file()
    return found.program if is_complete else None


def find_pulumi() -> Path | None:
    """Pulumi on PATH, when at least 3.200 and with all that Python programs and dynamic resources need."""
    found = shutil.which("pulumi")
    if not found or not all(shutil.which(name) for name in PULUMI_COMPANIONS):
        return None
    version = version_of([found, "version"])
    return Path(found) if version and version >= PULUMI_MINIMUM else None


def built(engine: Engine, report: Report) -> Path:
    """The folder with the engine's files, built when it is not there."""
    folder = cache() / engine.folder
    build_all([job_of(engine, folder)], line_of(report))
    return folder


def built_program(engine: Engine) -> Path:
    return cache() / engine.folder / engine.program


def cached_job(engine: Engine) -> Job:
    return job_of(engine, cache() / engine.folder)


def line_of(report: Report) -> ProgressLine:
    return report if isinstance(report, ProgressLine) else ProgressLine(report)


def cache() -> Path:
    """Where built engines live: `${XDG_CACHE_HOME:-~/.cache}/ollama-iac/engines`."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(base or Path.home() / ".cache") / "ollama-iac" / "engines"
    except RuntimeError as error:
        raise ToolchainError(f"no home folder for the cache, set XDG_CACHE_HOME: {error}") from error
