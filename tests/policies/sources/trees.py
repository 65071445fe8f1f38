"""Trees of files in memory, for sources that look around."""

import posixpath

from ollama_policy.model.settings import SourceFile


class Files:
    """A tree of given files."""

    def __init__(self, *files: SourceFile) -> None:
        self._files = {file.path: file for file in files}

    def sibling(self, file: SourceFile, relative: str) -> SourceFile | None:
        return self._files.get(posixpath.normpath(posixpath.join(posixpath.dirname(file.path), relative)))

    def folder(self, file: SourceFile, suffixes: tuple[str, ...]) -> list[SourceFile]:
        folder = posixpath.dirname(file.path)
        return [other for other in self.files(suffixes) if posixpath.dirname(other.path) == folder]

    def files(self, suffixes: tuple[str, ...]) -> list[SourceFile]:
        return [file for path, file in sorted(self._files.items()) if path.endswith(suffixes)]


def file(path: str, data: str | bytes) -> SourceFile:
    return SourceFile(path, data.encode() if isinstance(data, str) else data)
