"""What the plugin needs beyond the base of ollama-iac."""

import sys
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
    return f"{names} {verb} missing in {sys.prefix}: run `{sys.executable} -m pip install 'ollama-iac[terraform]'`"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # nor is the package that it is in
