"""Reads a file that a person or a configuration names: never one that would make the program wait, or never ends."""

import errno
import os
import stat

from ollama_provider.files.kinds import kind_of

MAX_BYTES = 256 * 1024 * 1024
_CHUNK = 1024 * 1024
_OPEN_FILES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")  # a shell's `<(command)`


def read_named(path: str, most: int = MAX_BYTES) -> bytes:
    """The content of a file. Raises OSError, whose `strerror` says what it is where it is not a file or too large."""
    is_open_file = path.startswith(_OPEN_FILES)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if is_open_file else os.O_NONBLOCK))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not (is_open_file and stat.S_ISFIFO(mode)):
            kind = kind_of(mode)
            raise OSError(errno.EINVAL, f"it is {kind}, expected a file", path)
        parts, size = list[bytes](), 0
        while part := os.read(descriptor, _CHUNK):
            parts.append(part)
            size += len(part)
            if size > most:
                raise OSError(errno.EFBIG, f"it is larger than {most // 2**20} MiB", path)
        return b"".join(parts)
    finally:
        os.close(descriptor)
