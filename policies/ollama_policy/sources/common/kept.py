"""What files were parsed to, kept for those that look at them again: one file is the base of many others."""

import weakref
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from ollama_policy.errors import TooLargeError, UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.common.source import Tree

MAX_BYTES: Final = 8 * 1024 * 1024  # of text: a tree takes fifty times that
_MOST_TIMES: Final = 100  # that one file is parsed, having been let go

Parsed = TypeVar("Parsed")
Known = TypeVar("Known")


class OfTree(Generic[Known]):
    """What is worked out once for a tree, whose files are read one after the other; it goes with the tree."""

    def __init__(self, work_out: Callable[[Tree], Known]) -> None:
        """What `work_out` answers must not hold the tree itself."""
        self._work_out = work_out
        self._known: weakref.WeakKeyDictionary[Tree, Known] = weakref.WeakKeyDictionary()

    def of(self, tree: Tree) -> Known:
        found = self._known.get(tree)
        if found is None:
            found = self._known[tree] = self._work_out(tree)
        return found


class Kept(Generic[Parsed]):
    """Parses a file when it is first asked for. Beyond MAX_BYTES the files go that were not asked for the longest."""

    def __init__(self, parse: Callable[[SourceFile], Parsed]) -> None:
        self._parse = parse
        self._found: dict[str, tuple[SourceFile, Parsed | UnreadableError]] = {}
        self._times: dict[str, int] = {}
        self._size = 0

    def of(self, file: SourceFile) -> Parsed:
        """Raises what `parse` raises, and TooLargeError where a file is parsed again and again."""
        known = self._found.pop(file.path, None)
        if known is not None and known[0] is not file:
            self._size -= len(known[0].data)
            known = None
        if known is None:
            known = file, self._parsed(file)
            self._size += len(file.data)
        self._found[file.path] = known
        while self._size > MAX_BYTES and len(self._found) > 1:
            oldest, _ = self._found.pop(next(iter(self._found)))
            self._size -= len(oldest.data)
        if isinstance(known[1], UnreadableError):
            raise known[1]
        return known[1]

    def _parsed(self, file: SourceFile) -> Parsed | UnreadableError:
        self._times[file.path] = self._times.get(file.path, 0) + 1
        if self._times[file.path] > _MOST_TIMES:
            return TooLargeError(0, "too many others look at it, and it does not stay in memory")
        try:
            return self._parse(file)
        except UnreadableError as error:
            return error
