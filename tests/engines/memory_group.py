"""A cgroup that limits memory, v1 or v2, where this process may make one."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_NUMBERS = itertools.count(1)


class NoMemoryGroupError(Exception):
    """This machine has no cgroup that this process may make; the text says why."""


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A group with a limit in bytes, swap included; write a process's id into its `cgroup.procs`.

    What a process of it starts is in it too. At the end it must be empty. Raises NoMemoryGroupError.
    """
    is_v1 = (_ROOT / "memory" / "memory.limit_in_bytes").exists()
    parent = _ROOT / "memory" if is_v1 else _ROOT
    group = parent / f"ollama-tests-{os.getpid()}-{next(_NUMBERS)}"
    try:
        group.mkdir()
    except OSError as error:
        raise NoMemoryGroupError(f"cannot make {group}: {error.strerror}") from None
    try:
        try:
            (group / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(limit))
        except OSError as error:
            raise NoMemoryGroupError(f"cannot limit {group}: {error.strerror}") from None
        for swap, value in (("memory.memsw.limit_in_bytes", limit), ("memory.swap.max", 0)):
            with contextlib.suppress(OSError):  # not every kernel counts swap
                if (group / swap).exists():
                    (group / swap).write_text(str(value))
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()
