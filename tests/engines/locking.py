"""One builder at a time, over processes."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.engines.errors import ToolchainError


@contextlib.contextmanager
def locked(path: Path, report: Callable[[str], None], deadline: float, every: float = 5) -> Iterator[None]:
    """Hold the lock file; the kernel gives it back when the holder dies. Says every `every` s that it waits.

    Raises ToolchainError after `deadline` s.
    """
    began = time.monotonic()
    said = began - every
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                now = time.monotonic()
                if now - began > deadline:
                    text = f"{path.stem}: gave up waiting for another build after {deadline:.0f} s ({path})"
                    raise ToolchainError(text) from error
                if now - said >= every:
                    said = now
                    report(f"{path.stem}: another process is building it, waiting, {now - began:.0f} s")
                time.sleep(0.2)
        yield
