"""C headers for a build with cgo: from where Debian installs them, else from its packages without installing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.engines.errors import ToolchainError
from tests.engines.recipes import Headers, ModuleFile

SYSTEM = Path("/usr/include")


class Step(Protocol):
    """Run a command to its end with progress; raises ToolchainError when it fails."""

    def __call__(self, command: list[str], doing: str, cwd: Path) -> str: ...


def include_folder(headers: Headers, work: Path, fetch: Callable[[ModuleFile], Path], step: Step) -> Path:
    """A folder for `-I` with all of the headers; `work` keeps what had to be downloaded."""
    include = work / "include"
    shutil.rmtree(include, ignore_errors=True)
    include.mkdir()
    missing = [package for package, folder in headers.debian.items() if not (SYSTEM / folder).is_dir()]
    unpacked = unpack(missing, work, step) if missing else SYSTEM
    for package, folder in headers.debian.items():
        (include / folder).symlink_to((unpacked if package in missing else SYSTEM) / folder)
    for file in headers.modules:
        target = include / file.to
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fetch(file), target)
    return include


def unpack(packages: list[str], work: Path, step: Step) -> Path:
    """Download Debian packages and unpack them; return their include folder. Needs no root: apt's lists are our own.

    Raises ToolchainError, one line that names the packages.
    """
    debs = work / "debian"
    for folder in ("lists/partial", "cache/archives/partial"):
        (debs / folder).mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-o", f"Dir::State::lists={debs / 'lists'}", "-o", f"Dir::Cache={debs / 'cache'}"]
    if os.geteuid() == 0:
        # As root apt drops to a user of its own, which may not write here.
        apt += ["-o", "APT::Sandbox::User=root"]
    try:
        step([*apt, "update"], "fetching Debian's package lists", cwd=debs)
        step([*apt, "download", *packages], f"fetching {' and '.join(packages)}", cwd=debs)
        for deb in sorted(debs.glob("*.deb")):
            step(["dpkg", "-x", str(deb), str(debs / "root")], f"unpacking {deb.name}", cwd=debs)
    except (ToolchainError, OSError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise ToolchainError(
            f"headers are missing and could not be downloaded, install the packages {' '.join(packages)} ({reason})"
        ) from error
    return debs / "root" / "usr" / "include"
