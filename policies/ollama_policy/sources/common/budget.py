"""How much work a text is worth: what grows with the product of two parts of it ends in "too large to decide"."""

from typing import Final

from ollama_policy.errors import TooLargeError
from ollama_policy.sources.common.kept import OfTree

_LEAST: Final = 50_000
_OF_A_BYTE: Final = 8
_LEAST_SETTINGS: Final = 100_000  # more than many instances of large blocks come to


class Budget:
    """The steps that the reading of one text may take: some for each of its bytes, so that the time is by its size."""

    def __init__(self, size: int, what: str, least: int = _LEAST, of_a_byte: int = _OF_A_BYTE) -> None:
        """`what` says in a sentence which work it is: `each server has a copy of all exports`."""
        self._of_a_byte = of_a_byte
        self._left = least + of_a_byte * size
        self._what = what

    def grow(self, size: int) -> None:
        """More text is read, and more work is worth it."""
        self._left += self._of_a_byte * size

    def spend(self, steps: int, offset: int) -> None:
        """Raises TooLargeError, with the place that the work is for, where nothing is left."""
        if steps > self._left:
            raise TooLargeError(offset, self._what)
        self._left -= steps


def _of_settings(_: object) -> Budget:
    return Budget(0, "many servers or models, each with many settings that they share", _LEAST_SETTINGS, 1)


# The settings of all subjects of a tree, which grows with what is read of it: N small files, each with what all share
# of N variables, come to N times N, and no file shows it. Whoever copies what is shared spends before it does.
SETTINGS: Final = OfTree(_of_settings)
