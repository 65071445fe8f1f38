"""The text of a YAML file, and where its lines and characters are."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Final

from ollama_policy.errors import UnreadableError

FREE_VISITS: Final = 100_000
_MARK: Final = b"\xef\xbb\xbf"
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_NEWLINE: Final = re.compile(rb"\n")
Ranges = Sequence[tuple[int, int]]


class Text:
    """What the nodes of a text share: its bytes, where its characters stand, and how many nodes were visited."""

    __slots__ = ("_extra", "_firsts", "_indexes", "_line_ends", "actions", "base", "data", "gaps", "left", "original")

    def __init__(self, data: bytes, base: int, original: bytes | None, actions: Ranges, gaps: Ranges) -> None:
        self.data = data
        self.original = data if original is None else original
        self.actions = actions
        self.gaps = gaps
        self.base = base
        self.left = FREE_VISITS + 8 * len(data)
        self._indexes: dict[int, dict[str, tuple[Any, Any]]] = {}  # by the identity of a mapping, which lives as long
        self._line_ends: list[int] = []
        self._firsts: list[int] = []  # of each run that is not ASCII: the character after it,
        self._extra: list[int] = []  # and how many bytes more than characters there are up to there
        if not data.isascii():
            self._place_characters()

    def _place_characters(self) -> None:
        mark = len(_MARK) if self.data.startswith(_MARK) else 0  # libyaml does not count it
        try:
            text = self.data[mark:].decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(self.base + mark + error.start, "bytes that are not UTF-8", "UTF-8") from None
        extra = mark
        self._firsts.append(0)
        self._extra.append(mark)
        for run in _NOT_ASCII.finditer(text):
            for character in range(run.start(), run.end()):
                extra += len(text[character].encode("utf-8")) - 1
                self._firsts.append(character + 1)
                self._extra.append(extra)

    def index_of(self, raw: Any) -> dict[str, tuple[Any, Any]]:
        """The pairs of a mapping by the text of their keys, the last where one is repeated."""
        found = self._indexes.get(id(raw))
        if found is None:
            found = {name.value: (name, value) for name, value in raw.value if name.id == "scalar"}
            self._indexes[id(raw)] = found
        return found

    def line_around(self, start: int, end: int) -> tuple[int, int]:
        """Where the lines of a part of the text begin and end."""
        if not self._line_ends:
            self._line_ends = [found.start() for found in _NEWLINE.finditer(self.original)]
            self._line_ends.append(len(self.original))
        before = bisect_left(self._line_ends, start)
        return self._line_ends[before - 1] + 1 if before else 0, self._line_ends[bisect_left(self._line_ends, end)]

    def byte(self, index: int) -> int:
        """The index into the bytes of a character that libyaml counts."""
        if not self._firsts:
            return index
        return index + self._extra[bisect_right(self._firsts, index) - 1]
