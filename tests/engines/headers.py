"""C headers for a build with cgo: from where Debian installs them, else from its packages without installing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.engines.errors import ToolchainError
from tests.engines.recipes import Headers, ModuleFile
from tests.engines.steps import Step, Steps

SYSTEM = Path("/usr/include")


def include_folder(headers: Headers, work: Path, fetch: Callable[[ModuleFile], Steps[Path]]) -> Steps[Path]:
    """A folder for `-I` with all of the headers; `work` keeps what had to be downloaded."""
    include = work / "include"
    shutil.rmtree(include, ignore_errors=True)
    include.mkdir()
    missing = [package for package, folder in headers.debian.items() if not (SYSTEM / folder).is_dir()]
    unpacked = (yield from _unpacked(missing, work)) if missing else SYSTEM
    for package, folder in headers.debian.items():
        (include / folder).symlink_to((unpacked if package in missing else SYSTEM) / folder)
    for file in headers.modules:
        target = include / file.to
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile((yield from fetch(file)), target)
    return include


def _unpacked(packages: list[str], work: Path) -> Steps[Path]:
    """Download Debian packages and unpack them; return their include folder. Needs no root: apt's lists are our own.

    Raises ToolchainError where there is no apt.
    """
    install = f"install the packages {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise ToolchainError(f"headers are missing, and there is no apt-get to download them: {install}")
    debs = work / "debian"
    for folder in ("lists/partial", "cache/archives/partial"):
        (debs / folder).mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-o", f"Dir::State::lists={debs / 'lists'}", "-o", f"Dir::Cache={debs / 'cache'}"]
    if os.geteuid() == 0:
        # As root apt drops to a user of its own, which may not write here.
        apt += ["-o", "APT::Sandbox::User=root"]
    hint = f"headers are missing and could not be downloaded, {install}"
    yield Step([*apt, "update"], "fetching Debian's package lists", debs, os.environ, hint=hint)
    yield Step([*apt, "download", *packages], f"fetching {' and '.join(packages)}", debs, os.environ, hint=hint)
    for deb in sorted(debs.glob("*.deb")):
        unpack = ["dpkg", "-x", str(deb), str(debs / "root")]
        yield Step(unpack, f"unpacking {deb.name}", debs, os.environ, hint=hint)
    return debs / "root" / "usr" / "include"
