"""One line of what goes on: rewritten in place on a terminal, otherwise a line at most every 15 s."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from typing import TextIO

_IN_PLACE_EVERY = 0.5
_LINES_EVERY = 15.0
_PRIOR = 60.0  # seconds for which the speed is taken to be what it was where the recipes were measured


class ProgressLine:
    """`ProgressLine.on(sys.stderr)`, or `ProgressLine(print)` for lines that somebody else shows."""

    def __init__(self, write: Callable[[str], None], terminal: TextIO | None = None) -> None:
        self._write = write
        self._terminal = terminal
        self._every = _IN_PLACE_EVERY if terminal else _LINES_EVERY
        self._last = ""
        self._next = 0.0

    @classmethod
    def on(cls, stream: TextIO) -> ProgressLine:
        return cls(lambda line: print(line, file=stream, flush=True), stream if stream.isatty() else None)

    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def __call__(self, line: str) -> None:
        """Show it, unless it is too soon, or nothing has changed."""
        if not self.is_due() or line == self._last:
            return
        self._last, self._next = line, time.monotonic() + self._every
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            shown = line if len(line) <= width else line[: width - 1] + "…"
            self._terminal.write(f"\r\x1b[K{shown}")
            self._terminal.flush()
        else:
            self._write(line)

    def clear(self) -> None:
        """Take it off the terminal; lines stay."""
        if self._terminal and self._last:
            self._terminal.write("\r\x1b[K")
            self._terminal.flush()
        self._last = ""


class Remaining:
    """The time that builds still take: the recipes' CPU seconds, at the speed with which they went so far."""

    def __init__(self, cpu_seconds: float, cores: int) -> None:
        self.cpu_seconds, self.cores = cpu_seconds, cores

    def seconds(self, left: Sequence[tuple[float, int]], elapsed: float) -> float:
        """`left` has the CPU seconds of each build and how many cores it runs on; 0 where it is to be given some."""
        total = sum(seconds for seconds, _ in left)
        speed = (self.cpu_seconds - total + _PRIOR * self.cores) / (elapsed + _PRIOR)  # of all cores
        longest = max((seconds / (cores or self.cores) for seconds, cores in left), default=0) * self.cores
        return max(total, longest) / speed

    def text(self, left: Sequence[tuple[float, int]], elapsed: float) -> str:
        seconds = self.seconds(left, elapsed)
        if seconds < 100:
            return f"about {max(round(seconds, -1), 10):.0f} s left"
        return f"about {seconds / 60:.0f} min left"
