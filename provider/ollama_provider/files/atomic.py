"""Writes a file whole or not at all: the one way in which this program puts anything on a disk.

- A reader sees the old content or the new one, and a full disk leaves the old one.
- No link is followed that a checked tree may bring: the last name, and every folder below the working folder or below
  the top of the repository that the path is in.
- The temporary file beside the target is never open to more people than the target is.
- SIGINT, SIGTERM and SIGHUP are answered when it is gone.
"""

# pathlib costs the start 5 ms.
# ruff: noqa: PTH100, PTH109, PTH114, PTH118, PTH119, PTH120, PTH123, PTH206

import errno
import os
import secrets
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ollama_provider.files.kinds import kind_of

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_OPEN_FILES = ("/dev/fd/", "/proc/self/fd/")  # what a shell makes of `>(command)`
_STREAMS = {f"/dev/{name}" for name in ("stdout", "stderr", "null", "full", "tty")}


def write_whole(path: str, data: bytes, *, is_new: bool = False, mode: int = 0o666) -> None:
    """Puts the content at a path in one step; mode and owner of a file that is there are kept. `mode` is a new one's.

    `is_new`: raises FileExistsError where anything is there, and makes the folders. Raises OSError, whose `filename` is
    the path, and whose `strerror` says what it is where it is not a file. A stream of /dev is written to as it is.
    """
    try:
        if path in _STREAMS or path.startswith(_OPEN_FILES):
            with open(path, "wb") as stream:
                stream.write(data)
            return
        with _folder_of(path, makes=is_new) as folder:
            _write(folder, os.path.basename(path), data, is_new=is_new, mode=mode)
    except FileExistsError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def _write(folder: int, name: str, data: bytes, *, is_new: bool, mode: int) -> None:
    before = None
    with suppress(FileNotFoundError):
        before = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if before is not None:
        if is_new:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        if not stat.S_ISREG(before.st_mode):
            kind = kind_of(before.st_mode)
            raise OSError(errno.EINVAL, f"it is {kind}, expected a file or nothing")
    temporary = f".{name[:100]}.{secrets.token_hex(8)}.tmp"
    with _undisturbed():
        descriptor = os.open(temporary, _NEW, mode if before is None else stat.S_IMODE(before.st_mode), dir_fd=folder)
        try:
            with open(descriptor, "wb") as stream:
                if before is not None:
                    with suppress(OSError):  # another's file is the writer's own afterwards, as with any editor
                        os.fchown(descriptor, before.st_uid, before.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            if is_new:
                os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                return
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
        os.unlink(temporary, dir_fd=folder)


@contextmanager
def _folder_of(path: str, *, makes: bool) -> Iterator[int]:
    """The folder that a path is in, opened name by name from where links are the person's own on."""
    whole = os.path.abspath(path)
    start = _trusted(whole)
    inner = os.path.relpath(os.path.dirname(whole), start)
    folder = os.open(start, _FOLDER)
    try:
        for name in [] if inner == os.curdir else inner.split(os.sep):
            if makes:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
            try:
                following = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError as error:
                if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise OSError(error.errno, f"its folder {name} is a link") from None
                raise
            os.close(folder)
            folder = following
        yield folder
    finally:
        os.close(folder)


def _trusted(path: str) -> str:
    """The folder over a path from which on its names may come from a checked tree.

    That is the working folder, else the top of the repository that the path is in, else what the path and the working
    folder have in common: a tree is most often named from beside it.
    """
    here = os.getcwd()
    if path.startswith(here.rstrip(os.sep) + os.sep):
        return here
    folder = os.path.dirname(path)
    top = folder
    while os.path.islink(top) or not os.path.lexists(os.path.join(top, ".git")):  # a link may lead to another one's
        parent = os.path.dirname(top)
        if parent == top:
            common = os.path.commonpath([here, folder])
            return folder if common == os.sep else common
        top = parent
    return top


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Lets signals wait that would end the process and leave the temporary file behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
