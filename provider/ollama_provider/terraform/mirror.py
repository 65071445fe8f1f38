"""A folder in which Terraform finds this provider: a filesystem mirror, in the layout of unpacked packages.

    HOST/NAMESPACE/ollama/VERSION/OS_ARCH/terraform-provider-ollama_vVERSION    the launcher
    terraform.local/ollama-iac/ollama/installation                              the Python that the launchers start

Terraform looks at nothing else at the depth of the second. The launcher is the same on every machine and in every
version, for .terraform.lock.hcl has its hash, and is to be shared.
"""

import os
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ollama_provider.files.atomic import write_whole
from ollama_provider.terraform.addresses import OWN

_MARK: Final = "# Written by `terraform-provider-ollama install`"
_RECORD: Final = f"{OWN}/installation"
_LAUNCHER: Final = f"""\
#!/bin/sh
{_MARK}: starts the provider in the Python environment that it was run in.
folder=$(CDPATH= cd -P "${{0%/*}}" && pwd -P) || exit
record=${{folder%/*/*/*/*/*}}/{_RECORD}
IFS= read -r python < "$record" || python="what $record says"
if [ ! -x "$python" ]; then
    echo "ollama-iac cannot start: $python is gone; run terraform-provider-ollama install"
    exit 1
fi
exec "$python" -P -m ollama_provider.terraform "$@"
"""


class NotOursError(Exception):
    """A file is where a launcher is to be, and `install` has not written it."""


@dataclass(frozen=True)
class Mirror:
    """What `install` makes in a folder, and `uninstall` takes away: that, and nothing else."""

    folder: Path

    def install(self, version: str, addresses: Iterable[str], python: str) -> list[Path]:
        """Lays out the launchers in place of those of other versions, and gives their paths.

        Addresses that were installed before stay. Raises OSError and NotOursError.
        """
        targets = [self.folder / _package(address, version) for address in sorted({*addresses, *self.addresses()})]
        for target in targets:
            if os.path.lexists(target) and not _is_launcher(target):
                raise NotOursError(target)
        for launcher in set(self._launchers()) - set(targets):
            launcher.unlink()
        made = _remaining(self._made())
        for file in (self.folder / _RECORD, *targets):
            made += _make(file.parent)
        write_whole(str(self.folder / _RECORD), "\n".join([python, *map(str, made), ""]).encode())
        for target in targets:
            write_whole(str(target), _LAUNCHER.encode(), mode=0o755)
        return targets

    def uninstall(self) -> list[Path]:
        """Takes away what `install` made here, the folders of its own that are empty then included."""
        launchers, made = list(self._launchers()), self._made()
        for launcher in launchers:
            launcher.unlink()
        (self.folder / _RECORD).unlink(missing_ok=True)
        _remaining(made)
        return launchers

    def addresses(self) -> set[str]:
        """The addresses that are installed here."""
        return {str(launcher.parents[2].relative_to(self.folder)) for launcher in self._launchers()}

    def _launchers(self) -> Iterator[Path]:
        found = self.folder.glob("*/*/ollama/*/*/terraform-provider-ollama_v*")
        return (path for path in sorted(found) if _is_launcher(path))

    def _made(self) -> list[Path]:
        """The folders that are there because of `install`, the outer ones first."""
        try:
            return [Path(line) for line in (self.folder / _RECORD).read_text(encoding="utf-8").splitlines()[1:]]
        except FileNotFoundError:
            return []


def implied_mirrors() -> list[Path]:
    """Where Terraform and OpenTofu look without being told so: for the user, and for one configuration."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return [Path.home() / ".terraform.d/plugins", Path(data) / "terraform/plugins", Path.cwd() / "terraform.d/plugins"]


def version_for_terraform(version: str) -> str:
    """A version of Python's as a semantic one: `0.2` is `0.2.0`, and `1.0.0rc1` is `1.0.0-rc1`."""
    release, rest = re.match(r"([\d.]*\d)[.-]?(.*)", version).groups()  # type: ignore[union-attr]
    before_release, _, build = rest.partition("+")
    numbers = [*release.split("."), "0", "0"][:3]
    return ".".join(numbers) + (f"-{before_release}" if before_release else "") + (f"+{build}" if build else "")


def _package(address: str, version: str) -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
    here = f"{platform.system().lower()}_{machine.get(platform.machine(), platform.machine())}"
    return f"{address}/{version}/{here}/terraform-provider-ollama_v{version}"


def _is_launcher(path: Path) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return not path.is_symlink() and _MARK in path.read_text(encoding="utf-8")
    return False


def _make(folder: Path) -> list[Path]:
    """Makes a folder, and gives those that were not there, the outer ones first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()][::-1]
    for one in missing:
        one.mkdir()
    return missing


def _remaining(folders: Iterable[Path]) -> list[Path]:
    """Removes the folders that are empty, the inner ones first, and gives those that stay, as they came."""
    folders = list(folders)
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()
    return [folder for folder in folders if folder.exists()]
