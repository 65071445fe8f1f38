"""`include` of compose files: which files it leads to, and what an included one has from that which includes it.

    include:
      - ollama/compose.yaml
      - {path: [db/compose.yaml, db.override.yaml], project_directory: db, env_file: db.env}

Later paths of an entry are laid over earlier ones. An included model has the variables of the project that includes it,
and below them those of `env_file`, or of the `.env` in its project directory (compose-go's loader/include.go).
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Setting, SourceFile, Span, Unknown
from ollama_policy.sources.common.env_files import read_assignments
from ollama_policy.sources.common.kept import Kept
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.yaml_environment import placed
from ollama_policy.sources.compose.interpolation import Lookup, interpolated
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import template_documents

# What compose takes where no file is named.
CANONICAL: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_SIGN: Final = re.compile(rb"^(?:\xef\xbb\xbf)?[\"']?include[\"']?[ \t]*:", re.MULTILINE)
_MAX_FILES: Final = 100


class Missing(NamedTuple):
    """A path whose file is not seen, and why; `node` is where it is written."""

    node: Node
    unknown: Unknown


class Included(NamedTuple):
    """An entry of the file `by`: its files, the later over the earlier; paths are relative to the folder of `by`."""

    by: SourceFile
    files: list[SourceFile]
    project_directory: str
    env_files: list[str | Unknown]


class Use(NamedTuple):
    """How a file is included: the entry, and which of its files it is."""

    entry: Included
    at: int

    @property
    def below(self) -> Sequence[SourceFile]:
        """The files that it is laid over."""
        return self.entry.files[: self.at]

    @property
    def above(self) -> Sequence[SourceFile]:
        """The files that are laid over it."""
        return self.entry.files[self.at + 1 :]

    @property
    def folder(self) -> str:
        """The folder that relative paths in it begin at, relative to its own."""
        mine = posixpath.dirname(self.entry.files[self.at].path)
        project = posixpath.join(posixpath.dirname(self.entry.by.path), self.entry.project_directory)
        return posixpath.relpath(project or ".", mine or ".")


def has_include(file: SourceFile) -> bool:
    """Whether a file may include others, by its text."""
    return _SIGN.search(file.data) is not None


def _documents(file: SourceFile) -> list[Node]:
    return template_documents(file.data)


def _one_or_more(node: Node) -> list[Node]:
    return node.items if node.is_sequence else [node]


class Includes:
    """The includes of a tree. What was found is kept, and a file that includes itself by detours is found once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.documents = Kept(_documents)
        self._entries: dict[str, list[Included]] = {}
        self._uses: dict[str, Use | None] = {}
        self._environments: dict[str, Lookup] = {}

    def entries(self, root: Node, file: SourceFile) -> Iterator[Included | Missing]:
        """What the `include` of a file leads to; each path that leads to no file of the tree is Missing."""
        include = root.get("include")
        for item in include.items if include is not None else ():
            path, files, first = item if item.is_scalar else item.get("path"), list[SourceFile](), ""
            for node in [] if path is None or path.is_null else _one_or_more(path):
                text = self._text(node, file)
                found = self.tree.sibling(file, text) if isinstance(text, str) else None
                if found is None:
                    reason = f"{text} is not in the tree" if isinstance(text, str) else text.reason
                    yield Missing(node, Unknown(f"the included file {reason}"))
                else:
                    first = first or posixpath.dirname(str(text))
                    files.append(found)
            if files:
                directory, names = item.get("project_directory"), item.get("env_file")
                folder = first if directory is None else self._text(directory, file)
                env_files = [] if names is None else [self._text(node, file) for node in _one_or_more(names)]
                yield Included(file, files, folder if isinstance(folder, str) else first, env_files)

    def _text(self, node: Node, file: SourceFile) -> str | Unknown:
        if not node.is_scalar:
            return Unknown("is not text")
        lookup = self.environment_of(file)
        value = interpolated("include", placed(node), node.span, file, "", False, lookup).value
        return Unknown(f"{node.text} is not known") if isinstance(value, Unknown) else str(value)

    def use_of(self, file: SourceFile) -> Use | None:
        """How a file is included by the main file of its folder, or of one above it; None where it is not."""
        if file.path not in self._uses:
            self._uses[file.path] = None
            self._uses[file.path] = next(self._uses_of(file), None)
        return self._uses[file.path]

    def _uses_of(self, file: SourceFile) -> Iterator[Use]:
        for up in range(file.path.count("/") + 1):
            for name in CANONICAL:
                by = self.tree.sibling(file, "../" * up + name)
                if by is None or by.path == file.path:
                    continue
                for entry in self._included(by):
                    yield from (Use(entry, at) for at, one in enumerate(entry.files) if one.path == file.path)

    def _included(self, file: SourceFile) -> list[Included]:
        """The entries of a file; one that cannot be read is reported where it is read itself."""
        if file.path not in self._entries:
            self._entries[file.path] = self._entries_of(file)
        return self._entries[file.path]

    def _entries_of(self, file: SourceFile) -> list[Included]:
        if not has_include(file):
            return []
        try:
            found = [entry for root in self.documents.of(file) for entry in self.entries(root, file)]
        except UnreadableError:
            return []
        return [entry for entry in found if isinstance(entry, Included)]

    def files_of(self, file: SourceFile) -> list[SourceFile]:
        """All files that a file includes, and those that these include."""
        found: dict[str, SourceFile] = {}
        waiting = [file]
        while waiting and len(found) < _MAX_FILES:
            for entry in self._included(waiting.pop()):
                new = {one.path: one for one in entry.files if one.path not in found and one.path != file.path}
                found |= new
                waiting += new.values()
        return list(found.values())

    def environment_of(self, file: SourceFile) -> Lookup:
        """Looks names up in the `.env` beside a file, or in what it is included with, all read when first asked."""
        if file.path not in self._environments:
            known: list[Lookup] = []

            def lookup(name: str) -> Setting | None:
                if not known:
                    known.extend(self._lookups(file))
                return next((found for one in known if (found := one(name)) is not None), None)

            self._environments[file.path] = lookup
        return self._environments[file.path]

    def _lookups(self, file: SourceFile) -> Iterator[Lookup]:
        use = self.use_of(file)
        if use is None:
            yield self._variables(file, [".env"], is_needed=False)
            return
        by, paths = use.entry.by, use.entry.env_files
        yield self.environment_of(by)
        default = posixpath.join(use.entry.project_directory, ".env")
        yield self._variables(by, paths or [default], is_needed=bool(paths))

    def _variables(self, file: SourceFile, paths: Sequence[str | Unknown], *, is_needed: bool) -> Lookup:
        """The variables of env files relative to a file; nothing is known where one that is needed is not there."""
        known: dict[str, Setting] = {}
        for path in paths:
            found = self.tree.sibling(file, path) if isinstance(path, str) else None
            if found is None and is_needed:
                reason = f"the env file {path} is not in the tree" if isinstance(path, str) else path.reason
                unknown = Unknown(reason)
                return lambda name: Setting(name, unknown, Span(0, 0), file, is_literal=False)
            if found is not None:
                known |= {setting.key: setting for setting in read_assignments(found.data, found)}
        return known.get
