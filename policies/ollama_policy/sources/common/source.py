"""What every reader of a format is, and the tree that it may look around in."""

from collections.abc import Iterator
from typing import Protocol

from ollama_policy.model.settings import SourceFile, Subject


class Tree(Protocol):
    """The files of the checked tree, for a source whose settings are spread over several (siblings, env files).

    Never leads out of what was given, never follows a link out of it; a file that is too large or unreadable is None.
    """

    def sibling(self, file: SourceFile, relative: str) -> SourceFile | None:
        """The file at a path relative to another's folder."""

    def folder(self, file: SourceFile, suffixes: tuple[str, ...]) -> list[SourceFile]:
        """All files in another's folder with one of the suffixes, itself included, sorted by path."""

    def files(self, suffixes: tuple[str, ...]) -> list[SourceFile]:
        """All files of the tree with one of the suffixes, sorted by path."""


class Source(Protocol):
    """A reader of one format: text in, subjects out. Never judges, never runs what it reads, never raises otherwise."""

    name: str

    def accepts(self, file: SourceFile) -> bool:
        """Whether the file is this source's, by its name and content. Cheap: a clean monorepo is mostly this."""

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        """The subjects in the file. Raises UnreadableError for a file that is its and that does not parse."""
