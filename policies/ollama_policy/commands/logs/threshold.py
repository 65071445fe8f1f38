"""The story's alarm, with a meaning: the memory of the whole machine, as psutil sees it, has passed a percentage.

It is (total - available) / total of the host: what could be given to processes without swapping counts as free, caches
of files among it. In a container that is the host's memory and not the container's limit, and it is not only Ollama's.
"""

from typing import Final

from ollama_policy.errors import CannotLookError

BACK: Final = 5  # percent that it has to fall below the threshold before it can be passed again


class Threshold:
    """`passed` gives the story's line once for each time that memory rises to the threshold."""

    def __init__(self, percent: float) -> None:
        try:
            import psutil  # noqa: PLC0415 - of the extra `report`
        except ImportError:
            words = "--threshold needs psutil, which is not installed: python -m pip install 'psutil>=6'"
            raise CannotLookError(words) from None
        self._memory = psutil.virtual_memory
        self._percent = percent
        self._is_over = False
        self.count = 0

    def passed(self) -> str | None:
        used = float(self._memory().percent)
        if used < self._percent:
            self._is_over = self._is_over and used > self._percent - BACK
            return None
        if self._is_over:
            return None
        self._is_over = True
        self.count += 1
        return f"ERROR: Memory usage exceeds threshold. Current memory usage: {int(used)}%"
