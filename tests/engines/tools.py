"""What a build needs of the machine: Go, CMake, Ninja, a C++ compiler; and the version that a tool tells."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.engines.errors import ToolchainError
from tests.engines.recipes import CMAKE_MINIMUM, Engine

GO_FALLBACK = "/usr/local/go/bin"

Version = tuple[int, ...]


def version_of(command: list[str]) -> Version | None:
    """The last version number in what a tool prints about itself; None where it says none within 20 s."""
    # Ollama is asked where no server answers: otherwise it tells the server's version.
    environment = {**os.environ, "OLLAMA_HOST": "127.0.0.1:1", "PULUMI_SKIP_UPDATE_CHECK": "true"}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
        found = re.findall(r"\d+(?:\.\d+)+", ran.stdout + ran.stderr)
        if found and ran.returncode == 0:
            return numbers(found[-1])
    return None


def find_go(engine: Engine) -> Path:
    """A Go that builds the engine. From 1.21 on, Go fetches a newer version of itself, unless told not to."""
    found = shutil.which("go") or shutil.which("go", path=GO_FALLBACK)
    if not found:
        raise ToolchainError(
            f"{engine.name} is not on PATH in a fit version, and there is no Go to build it: "
            f"install {engine.name} or Go {engine.go}"
        )
    try:
        command = [found, "env", "GOVERSION", "GOTOOLCHAIN"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"{found} does not run: {error}") from error
    version = said[0] if said else "unknown"
    fetches_newer = numbers(version) >= (1, 21) and said[1:] != ["local"]
    if numbers(version) < numbers(engine.go) and not fetches_newer:
        raise ToolchainError(
            f"{found} is {version}, too old to build {engine.name} {engine.version}: install Go {engine.go}"
        )
    return Path(found)


def find_cmake_and_ninja() -> tuple[Path, Path] | None:
    """Both of PATH, where CMake is new enough for Ollama's CMakeLists.txt."""
    cmake, ninja = shutil.which("cmake"), shutil.which("ninja")
    if not cmake or not ninja or (version_of([cmake, "--version"]) or ()) < CMAKE_MINIMUM:
        return None
    return Path(cmake), Path(ninja)


def require_cpp(engine: Engine) -> None:
    """Raises ToolchainError where what CMake and Ollama's patches need is not there."""
    wanted = {
        "a C++ compiler (Debian's package g++)": (os.environ.get("CXX", "c++"), "g++", "clang++"),
        "git": ("git",),
    }
    missing = [what for what, names in wanted.items() if not any(map(shutil.which, names))]
    if missing:
        raise ToolchainError(f"{engine.name} {engine.version} cannot be built: install {' and '.join(missing)}")


def numbers(version: str) -> Version:
    return tuple(map(int, re.findall(r"\d+", version)))
