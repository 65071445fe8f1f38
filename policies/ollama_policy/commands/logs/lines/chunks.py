"""The bytes of a log as they come: a file to its end, or on and on, through rotation and truncation; standard input."""

import os
import select
import time
from collections.abc import Iterator
from typing import Final

STDIN: Final = "-"
EVERY: Final = 0.25  # seconds between two looks at what does not tell by itself that there is more
_SIZE: Final = 2**20


class Again:
    """In place of a chunk: what comes is another file, whose lines count from 1."""


AGAIN: Final = Again()


def chunks(path: str, *, follows: bool) -> Iterator[bytes | Again]:
    """Chunks; where it follows, an empty one whenever nothing came for a moment. Raises OSError."""
    if path == STDIN:
        yield from _of_stream(0, follows=follows)
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while True:
            while chunk := os.read(descriptor, _SIZE):
                yield chunk
            if not follows:
                return
            fresh = _rotated(path, descriptor)
            if fresh is None and os.fstat(descriptor).st_size >= os.lseek(descriptor, 0, os.SEEK_CUR):
                yield b""
                time.sleep(EVERY)
                continue
            if fresh is None:  # truncated in place
                os.lseek(descriptor, 0, os.SEEK_SET)
            else:
                while chunk := os.read(descriptor, _SIZE):  # what came between the last look and the rotation
                    yield chunk
                os.close(descriptor)
                descriptor = fresh
            yield AGAIN
    finally:
        os.close(descriptor)


def _of_stream(descriptor: int, *, follows: bool) -> Iterator[bytes]:
    while True:
        if follows and not select.select([descriptor], [], [], EVERY)[0]:
            yield b""
            continue
        chunk = os.read(descriptor, _SIZE)
        if not chunk:
            return
        yield chunk


def _rotated(path: str, descriptor: int) -> int | None:
    """The file that is at the path now, where that is another; one that was moved away is read on until then."""
    try:
        fresh = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    if os.path.samestat(os.fstat(fresh), os.fstat(descriptor)):
        os.close(fresh)
        return None
    os.set_blocking(fresh, True)
    return fresh
