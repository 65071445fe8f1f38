"""A limit of memory that the kernel itself keeps: a group of cgroup v1 or v2, where root can make one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_REMOVED_WITHIN = 5.0


@dataclass(frozen=True)
class MemoryGroup:
    """One group. What a process in it starts is in it too."""

    folder: Path
    events: str
    """The file that counts what the kernel has killed."""

    def add(self, pid: int) -> None:
        (self.folder / "cgroup.procs").write_text(str(pid))

    def killed(self) -> int:
        """How many processes of it the kernel has ended for lack of memory."""
        found = re.search(r"^oom_kill (\d+)$", (self.folder / self.events).read_text(), re.MULTILINE)
        return int(found[1]) if found else 0


@contextmanager
def memory_limited(limit: int) -> Iterator[MemoryGroup | None]:
    """A group of so many bytes without swap; None where this machine lets nobody make one."""
    made = None
    with contextlib.suppress(OSError):
        made = _make(limit)
    try:
        yield made
    finally:
        if made is not None:
            _remove(made.folder)


def _make(limit: int) -> MemoryGroup | None:
    name = f"ollama-iac-{os.getpid()}-{secrets.token_hex(4)}"
    v1, v2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    if (v1 / "memory.limit_in_bytes").exists():
        group = MemoryGroup(v1 / name, "memory.oom_control")
        limits = {"memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": limit}
    elif "memory" in (v2 / "cgroup.subtree_control").read_text().split():
        group = MemoryGroup(v2 / name, "memory.events")
        limits = {"memory.max": limit, "memory.swap.max": 0}
    else:
        return None
    group.folder.mkdir()
    for number, (file, value) in enumerate(limits.items()):
        try:
            (group.folder / file).write_text(str(value))
        except OSError:
            if number == 0:  # not every kernel counts swap, the second
                group.folder.rmdir()
                raise
    return group


def _remove(folder: Path) -> None:
    """Once its last process is gone."""
    give_up = time.monotonic() + _REMOVED_WITHIN
    while folder.exists() and time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.05)
