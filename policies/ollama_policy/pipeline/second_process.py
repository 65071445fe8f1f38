"""A large tree in two processes: nearly all of its files mention nothing, and to find that out needs nothing else."""

# pathlib costs the start 5 ms.
# ruff: noqa: PTH123

import os
from collections.abc import Callable, Sequence

FEWEST = 4000  # files, below which a process costs more than it brings


class SecondProcess:
    """Looks through the second half of the paths while the caller reads the first. Nothing depends on its success."""

    def __init__(self, paths: Sequence[str], is_other: Callable[[str], bool]) -> None:
        self.half = (len(paths) + 1) // 2
        self._read_end, write_end = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                flags = bytes(is_other(path) for path in paths[self.half :])
                with open(write_end, "wb") as stream:
                    stream.write(flags)
            finally:
                os._exit(0)  # whatever happened: what is not said is looked at by the caller
        os.close(write_end)

    def flags(self) -> bytes:
        """A byte for each path of the second half, 1 where there is nothing to look at; shorter where it broke off."""
        with open(self._read_end, "rb") as stream:
            flags = stream.read()
        os.waitpid(self._child, 0)
        return flags


def is_worth_it(count: int) -> bool:
    return count >= FEWEST and hasattr(os, "fork") and (os.cpu_count() or 1) > 1
