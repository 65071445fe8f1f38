"""How much work a text is worth: what grows with the product of two parts of it ends in "too large to decide"."""

from typing import Final

from ollama_policy.settings import TooLargeError

_LEAST: Final = 50_000
_OF_A_BYTE: Final = 8


class Budget:
    """The steps that the reading of one text may take: some for each of its bytes, so that the time is by its size."""

    def __init__(self, size: int, what: str) -> None:
        """`what` says in a sentence which work it is: `each server has a copy of all exports`."""
        self._left = _LEAST + _OF_A_BYTE * size
        self._what = what

    def spend(self, steps: int, offset: int) -> None:
        """Raises TooLargeError, with the place that the work is for, where nothing is left."""
        self._left -= steps
        if self._left < 0:
            raise TooLargeError(offset, self._what)
