"""What the plugin needs beyond the base of ollama-iac."""

import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from typing import Final

# The packages of the extra `terraform`, and a module of each.
PACKAGES: Final = {
    "cryptography": "cryptography",
    "grpcio": "grpc",
    "msgpack": "msgpack",
    "protobuf": "google.protobuf",
}


def what_is_missing() -> str | None:
    """What is missing in this Python environment and how to get it, in one line; None where all is there."""
    missing = [package for package, module in PACKAGES.items() if not _is_there(module)]
    if not missing:
        return None
    names = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    verb = "is" if len(missing) == 1 else "are"
    wanted = " ".join(f"'{one}'" for one in _requirements(missing))
    return f"{names} {verb} missing in {sys.prefix}: run `{sys.executable} -m pip install {wanted}`"


def _requirements(packages: Sequence[str]) -> list[str]:
    """The packages with the versions that ollama-iac takes, by its own metadata."""
    try:
        listed = requires("ollama-iac") or ()
    except PackageNotFoundError:  # a source tree on the path, and nothing installed
        listed = ()
    declared = [one.partition(";")[0].strip() for one in listed]
    by_name = {re.match(r"[\w-]*", one)[0]: one for one in declared}  # type: ignore[index]
    return [by_name.get(one, one) for one in packages]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # nor is the package that it is in
