"""Whose certificates are trusted: a file's that somebody names, else those of the environment."""

import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_FILE: Final = "SSL_CERT_FILE"
_FOLDERS: Final = "SSL_CERT_DIR"


class InvalidCertificatesError(ValueError):
    """A variable that names no certificates; the message says which."""

    def __init__(self, variable: str, named: str, expected: str) -> None:
        super().__init__(f"{variable} names {named!r}, expected {expected}")
        self.variable, self.named, self.expected = variable, named, expected


def holds_certificates(ca_file: str) -> bool:
    """Whether a file has the certificates of an authority, and can be read without a wait."""
    try:
        if not os.path.isfile(ca_file):  # noqa: PTH113 - pathlib costs a checker's start 5 ms; a FIFO would make this wait
            return False
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca_file)
    except (OSError, ValueError):  # among them ssl.SSLError
        return False
    return True


def require_usable(environment: Mapping[str, str]) -> None:
    """Raises InvalidCertificatesError where OpenSSL would wait for a FIFO, or pass over what a variable names."""
    file, folders = environment.get(_FILE), environment.get(_FOLDERS)
    if file and not os.path.isfile(file):  # noqa: PTH113 - as above
        raise InvalidCertificatesError(_FILE, file, "a file with the certificates of an authority")
    if folders and not any(map(os.path.isdir, folders.split(os.pathsep))):
        raise InvalidCertificatesError(_FOLDERS, folders, "a folder with the certificates of authorities")


def trusting(ca_file: str | None, environment: Mapping[str, str]) -> ssl.SSLContext:
    """What verifies servers. Raises InvalidCertificatesError."""
    if ca_file is None:
        require_usable(environment)
    return _trusting(ca_file, environment.get(_FILE), environment.get(_FOLDERS))


@lru_cache(maxsize=8)
def _trusting(ca_file: str | None, _file: str | None, _folders: str | None) -> ssl.SSLContext:
    """One for all servers: each would read the certificates again, and keep a copy of them."""
    return ssl.create_default_context(cafile=ca_file)
