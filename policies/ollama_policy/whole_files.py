"""Writes a file whole or not at all."""

# pathlib costs the start 5 ms.
# ruff: noqa: PTH101, PTH105, PTH108, PTH116, PTH118, PTH119, PTH120, PTH123

import os
import stat


def write_whole(path: str, data: bytes) -> None:
    """Puts the content at a path in one step; the mode of a file that is there is kept. Raises OSError.

    What is there and is no file, such as /dev/stdout, is written to as it is.
    """
    try:
        mode: int | None = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "wb") as stream:
            stream.write(data)
        return
    path = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)[:100]}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
