"""A Chromium without a window: on PATH, else one that needs nothing of the system, out of a package of npm.

@sparticuz/chromium is made for machines that have neither libraries nor fonts; it is packed by brotli, which Node can.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.engines.errors import ToolchainError
from tests.engines.locking import locked
from tests.engines.toolchain import cache

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
VERSION = "153.0.0"
_PACKAGE = f"@sparticuz/chromium@{VERSION}"
_SECONDS = 600.0
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


def find_or_fetch_chromium(report: Callable[[str], None]) -> Chromium:
    """Raises ToolchainError."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return Chromium(Path(found), {})
    folder = cache() / f"chromium-{VERSION}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock"), report, _SECONDS):
        if not folder.is_dir():
            _fetch(folder, report)
    libraries = {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_PATH": str(folder)}
    return Chromium(folder / "chromium", libraries)


def _fetch(folder: Path, report: Callable[[str], None]) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise ToolchainError(f"chromium is not on PATH, and there is no npm to fetch one: install one of {NAMES}")
    report(f"chromium {VERSION}: fetching 70 MB")
    work = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    _run([npm, "pack", "--silent", _PACKAGE], work)
    [packed] = work.glob("*.tgz")
    _unpack(packed, work)
    _run([node, "-e", _UNPACK], work)
    for name in ("al2023", "fonts", "swiftshader"):
        _unpack(work / f"{name}.tar", work)
        (work / f"{name}.tar").unlink()
    (work / "chromium").chmod(0o755)
    (work / "fonts.conf").write_text(_FONTS)
    packed.unlink()
    shutil.rmtree(work / "package")
    work.rename(folder)
    report(f"chromium {VERSION}: done, in {folder}")


def _unpack(file: Path, into: Path) -> None:
    with tarfile.open(file) as packed:
        packed.extractall(into, filter="data")


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise ToolchainError(f"`{command[0]}` for {_PACKAGE}: not done within {_SECONDS:.0f} s") from None
    if done.returncode:
        raise ToolchainError(f"`{' '.join(command[:3])}` for {_PACKAGE} failed: {done.stderr.strip()[-500:]}")
