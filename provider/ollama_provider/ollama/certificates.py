"""Whether a file can be trusted as an authority's."""

import os
import ssl


def holds_certificates(ca_file: str) -> bool:
    """Whether a file has the certificates of an authority, and can be read without a wait."""
    try:
        if not os.path.isfile(ca_file):  # noqa: PTH113 - pathlib costs a checker's start 5 ms; a FIFO would make this wait
            return False
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca_file)
    except (OSError, ValueError):  # among them ssl.SSLError
        return False
    return True
