"""What a path leads to that is not a file, in words."""

import stat
from typing import Final

_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_of(mode: int) -> str:
    """Of a mode as `os.stat` gives it."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")
