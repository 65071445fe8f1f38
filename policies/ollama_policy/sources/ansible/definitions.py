"""Where a tree of Ansible's sets a variable: files of variables, inventories, and what plays and tasks set by the way.

What wins over what has 22 levels ("Using Variables", Understanding variable precedence), of which only a part is in
files. So all places are listed, and whoever asks takes a value only where they agree.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.common.kept import Kept, OfTree
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.words import Words
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import template_documents

SUFFIXES: Final = (".yml", ".yaml")
VARIABLES: Final = re.compile(r"(?:^|/)(?:defaults|vars|group_vars|host_vars)/")
_LATE: Final = re.compile(r"(?:^|/)vars/")
_DEFAULTS: Final = re.compile(r"(?:^|/)defaults/")
_INVENTORY: Final = re.compile(r"(?:^|/)(?:inventor(?:y|ies)[/.]|hosts\.ya?ml$)")
_TESTS: Final = re.compile(r"(?:^|/)(?:molecule|tests?)/")
_ROLE: Final = re.compile(r"((?:.*/)?)((?:tasks|handlers|templates|files|defaults|vars|meta)/.*)")
# What counts even where only the one file was given to be checked.
_OF_ROLE: Final = [f"{folder}/main{suffix}" for folder in ("vars", "defaults") for suffix in SUFFIXES]
_OF_PLAYS: Final = [f"group_vars/all{end}" for end in (*SUFFIXES, "/main.yml", "/vars.yml")]
_INI_ENDS: Final = ("hosts", ".ini")
_INI_ENTRY: Final = re.compile(rb"(?:^|[ \t])([A-Za-z_]\w*)[ \t]*=", re.MULTILINE)
_INI: Final = [f"{folder}{name}" for folder in ("", "inventory/") for name in ("hosts", "hosts.ini", "inventory.ini")]

_T = TypeVar("_T")


class Definition(NamedTuple):
    """A place that sets a variable. Without a node a run decides the value. `is_late`: it wins over a play's `vars`."""

    node: Node | None
    file: SourceFile
    is_late: bool


class Definitions:
    """What a tree says of every name, for one of its files."""

    def __init__(self, file: SourceFile, tree: Tree) -> None:
        self.file = file
        self.tree = tree
        role = _ROLE.match(file.path)
        self._role = None if role is None else role[1]
        self._up = "" if role is None else "../" * role[2].count("/")
        self._by_name: dict[str, list[Definition]] = {}
        self._names: set[str] = set()
        self._patterns: set[tuple[str, str]] = set()
        self.missing = ""  # a file of variables that is used here, and not in the tree

    def of(self, name: str) -> list[Definition]:
        """Every place that sets a name, the role's own first; not other roles' defaults, which lose to all."""
        if name not in self._by_name:
            own = {file.path for file in self._near}
            shared = [
                file for file in self._shared.words.files_with([name]) if file.path not in own and self._counts(file)
            ]
            near = [file for file in self._near if name.encode() in file.data]
            self._by_name[name] = [found for file in (*near, *shared) for found in self._in_file(file).get(name, ())]
        return self._by_name[name]

    def _in_file(self, file: SourceFile) -> dict[str, list[Definition]]:
        is_defaults = _DEFAULTS.search(file.path) is not None
        if is_defaults and (self._role is None or not file.path.startswith(f"{self._role}defaults/")):
            return {}
        name = _name(file)
        is_named = name in self._shared.names or name in self._names
        patterns = self._shared.patterns | self._patterns
        is_possible = any(name.startswith(start) and name.endswith(end) for start, end in patterns)
        return self._shared.in_file(file, is_named=is_named, is_possible=is_possible)

    def _counts(self, file: SourceFile) -> bool:
        """Whether it is not a test, of which each is for itself."""
        return _TESTS.search(self.file.path) is not None or not _TESTS.search(file.path)

    @cached_property
    def _shared(self) -> "_Shared":
        return _SHARED.of(self.tree)

    @cached_property
    def _near(self) -> list[SourceFile]:
        """This file and those near it that may set something; and what tells the names of those without a sign."""
        plays = f"{self._up}../../" if self._role is not None else ""
        near = [f"{self._up}{name}" for name in _OF_ROLE if self._role is not None]
        near += [f"{base}{name}" for base in (self._up, plays) for name in (*_OF_PLAYS, *_INI)]
        named, files = list[tuple[str, str, str]](), [self.file]
        for path in _readable(_files_named_in(self.file)):
            start, end = _base_of(path)
            (self._patterns.add((start, end)) if "{{" in path.rpartition("/")[2] else self._names.add(start))
            named.append((start, end, path))
            siblings = [self.tree.sibling(self.file, f"{up}{path}") for up in ("", f"{self._up}vars/", self._up)]
            files += [found for found in siblings if found is not None]
        names = self._shared.file_names
        for start, end, path in named:
            known = names | {_name(file) for file in files}
            if not any(one.startswith(start) and one.endswith(end) for one in known):
                self.missing = path
        found = [self.tree.sibling(self.file, path) for path in near]
        unique = {file.path: file for file in (*found, *files) if file is not None}
        return [file for file in unique.values() if self._counts(file)]


class _Shared:
    """What does not depend on which file of a tree is read: its names, and what each file sets."""

    def __init__(self, tree: Tree) -> None:
        files = [*tree.files(SUFFIXES), *tree.files(("hosts",))]
        self.words = Words(files)
        self.file_names = frozenset(map(_name, files))
        # By how their names start and end: files of variables that are named, and those whose names a run fills in.
        self.names: set[str] = set()
        self.patterns: set[tuple[str, str]] = set()
        self._documents = Kept(_roots)
        self._found: dict[tuple[str, bool, bool], tuple[SourceFile, dict[str, list[Definition]]]] = {}
        for file in files:
            for path in _readable(_files_named_in(file)):
                start, end = _base_of(path)
                (self.patterns.add((start, end)) if "{{" in path.rpartition("/")[2] else self.names.add(start))

    def in_file(self, file: SourceFile, *, is_named: bool, is_possible: bool) -> dict[str, list[Definition]]:
        """What a file sets, by name; whether its own name was named somewhere, or may be."""
        key = (file.path, is_named, is_possible)
        known = self._found.get(key)
        if known is not None and known[0] is file:
            return known[1]
        names: dict[str, list[Definition]] = {}
        is_ini = file.path.endswith(_INI_ENDS)
        sets = _set_in_ini(file) if is_ini else _readable(_set_in(file, self._documents, is_named, is_possible))
        for name, definition in sets:
            names.setdefault(name, []).append(definition)
        self._found[key] = file, names
        return names


_SHARED: Final = OfTree(_Shared)


def _base_of(path: str) -> tuple[str, str]:
    """How the last name of a path starts and ends: expressions may stand for the rest, and for its folders."""
    base = path.rpartition("/")[2]
    return base.partition("{{")[0], base.rpartition("}}")[2]


def _set_in(
    file: SourceFile, documents: Kept[list[Node]], is_named: bool, is_possible: bool
) -> Iterator[tuple[str, Definition]]:
    is_defaults = _DEFAULTS.search(file.path) is not None
    for root in documents.of(file):
        if root.is_mapping and (is_named or VARIABLES.search(file.path)):
            is_late = not is_defaults and (is_named or _LATE.search(file.path) is not None)
            yield from ((key.text, Definition(node, file, is_late)) for key, node in root.members)
            continue
        if root.is_mapping and is_possible and not _INVENTORY.search(file.path):
            yield from ((key.text, Definition(None, file, is_late=True)) for key, _ in root.members)
            continue
        for node in root.walk():
            for key, value in node.members:
                if root.is_mapping and _INVENTORY.search(file.path):
                    yield key.text, Definition(value, file, is_late=False)
                elif root.is_sequence or "meta/" in file.path:
                    yield from _set_by(node, key.text, value, file)


def _name(file: SourceFile) -> str:
    return file.path.rpartition("/")[2]


def _files_named_in(file: SourceFile) -> Iterator[str]:
    """The paths that a play's `vars_files` and tasks' `include_vars` name, as written."""
    if b"vars_files" not in file.data and b"include_vars" not in file.data:
        return
    for node in (node for root in _roots(file) for node in root.walk()):
        for key, value in node.members:
            if key.text.rpartition(".")[2] in ("vars_files", "include_vars"):
                named = value.get("file") if value.is_mapping else value
                yield from (one.text for one in (() if named is None else named.walk()) if one.is_scalar)


def _set_by(node: Node, key: str, value: Node, file: SourceFile) -> Iterator[tuple[str, Definition]]:
    """What one key of a play or a task sets."""
    match key.rpartition(".")[2]:
        case "vars":
            yield from ((name.text, Definition(each, file, is_late=False)) for name, each in value.members)
        case "set_fact":
            yield from ((name.text, Definition(None, file, is_late=True)) for name, _ in value.members)
        case "register":
            yield value.text, Definition(None, file, is_late=True)
        case "vars_prompt":
            yield from ((item.text_at("name"), Definition(None, file, is_late=True)) for item in value.items)
        case "role":
            yield from ((name.text, Definition(each, file, is_late=False)) for name, each in node.members)
        case _:
            pass


def _set_in_ini(file: SourceFile) -> Iterator[tuple[str, Definition]]:
    """What an inventory sets; which host's it is, and so what it is, only a run knows."""
    for match in _INI_ENTRY.finditer(file.data):
        yield match[1].decode("ascii", "replace"), Definition(None, file, is_late=False)


def _readable(found: Iterator[_T]) -> Iterator[_T]:
    """What is found before something is nested too deeply; that is reported where the file is read itself."""
    try:
        yield from found
    except UnreadableError:
        return


def _roots(file: SourceFile) -> list[Node]:
    """The documents of another file; one that cannot be read is reported where it is read itself."""
    try:
        return template_documents(file.data)
    except UnreadableError:
        return []
