"""Which files hold a name: looked up by their words, so that a name costs no look through every file."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from ollama_policy.model.settings import SourceFile

_WORD: Final = re.compile(rb"[\w-]+")
_PLAIN: Final = re.compile(r"[\w-]+", re.ASCII)


class Words:
    """The words of some files. A word is letters, digits, `_` and `-`."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._files = list(files)
        self._by_word: dict[bytes, list[SourceFile]] = {}
        for file in self._files:
            for word in set(_WORD.findall(file.data)):
                self._by_word.setdefault(word, []).append(file)

    def files_with(self, names: Iterable[str]) -> Sequence[SourceFile]:
        """The files, in their order, in which the rarest word of these names stands; no other can hold them all."""
        words = [word for name in names for word in _PLAIN.findall(name)]
        return min((self._by_word.get(word.encode(), []) for word in words), key=len, default=self._files)
