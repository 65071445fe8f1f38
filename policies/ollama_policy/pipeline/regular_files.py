"""Reading a file of the tree: a regular one, of a size that a person writes."""

import os
import stat

MAX_BYTES = 10 * 1024 * 1024
CHUNK = 1024 * 1024
# Without waiting: a FIFO put there since the listing must not hold up the run.
_OPENING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def read_regular(path: str) -> bytes | None:
    """A file's content, None where it is too large. Raises OSError; ValueError where it is not a regular file."""
    descriptor = os.open(path, _OPENING)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        if status.st_size > MAX_BYTES:
            return None
        data = os.read(descriptor, status.st_size + 1)
        while len(data) != status.st_size and (rest := os.read(descriptor, CHUNK)):  # it grows, or is in /proc
            data += rest
            if len(data) > MAX_BYTES:
                return None
        return data
    finally:
        os.close(descriptor)
