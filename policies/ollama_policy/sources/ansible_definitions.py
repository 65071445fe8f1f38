"""Where a tree of Ansible's sets a variable: files of variables, inventories, and what plays and tasks set by the way.

What wins over what has 22 levels ("Using Variables", Understanding variable precedence), of which only a part is in
files. So all places are listed, and whoever asks takes a value only where they agree.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

from ollama_policy.settings import SourceFile, UnreadableError
from ollama_policy.sources.source import Tree
from ollama_policy.sources.yaml_nodes import Node
from ollama_policy.sources.yaml_templates import template_documents

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
        self._by_file: dict[str, dict[str, list[Definition]]] = {}
        self._files: list[SourceFile] | None = None
        # By how their names start and end: files of variables that are named, and those whose names a run fills in.
        self._names: set[str] = set()
        self._patterns: set[tuple[str, str]] = set()
        self._own_named: list[tuple[str, str, str]] = []
        self.missing = ""  # a file of variables that is used here, and not in the tree

    def of(self, name: str) -> list[Definition]:
        """Every place that sets a name, the role's own first; not other roles' defaults, which lose to all."""
        if self._files is None:
            self._files = self._listed()
        if name not in self._by_name:
            word = name.encode()
            self._by_name[name] = [
                found for file in self._files if word in file.data for found in self._in_file(file).get(name, ())
            ]
        return self._by_name[name]

    def _in_file(self, file: SourceFile) -> dict[str, list[Definition]]:
        if file.path not in self._by_file:
            self._by_file[file.path] = names = dict[str, list[Definition]]()
            is_ini = file.path.endswith(_INI_ENDS)
            for name, definition in _set_in_ini(file) if is_ini else _readable(self._set_in(file)):
                names.setdefault(name, []).append(definition)
        return self._by_file[file.path]

    def _listed(self) -> list[SourceFile]:
        """The files that may set something, this one included; and what tells the names of those without a sign."""
        plays = f"{self._up}../../" if self._role is not None else ""
        near = [f"{self._up}{name}" for name in _OF_ROLE if self._role is not None]
        near += [f"{base}{name}" for base in (self._up, plays) for name in (*_OF_PLAYS, *_INI)]
        files = [self.file, *self.tree.files(SUFFIXES), *self.tree.files(("hosts",))]
        for file in list(files):
            for path in _readable(_files_named_in(file)):
                files += self._named_file(path, file)
        for start, end, path in self._own_named:
            if not any(_name(file).startswith(start) and _name(file).endswith(end) for file in files):
                self.missing = path
        found = [self.tree.sibling(self.file, path) for path in near]
        unique = {file.path: file for file in (*found, *files) if file is not None}
        is_test = _TESTS.search(self.file.path) is not None
        return [file for file in unique.values() if is_test or not _TESTS.search(file.path)]

    def _named_file(self, path: str, file: SourceFile) -> list[SourceFile]:
        """Takes note of a file of variables by its last name: expressions may stand for its folders."""
        base = path.rpartition("/")[2]
        start, end = base.partition("{{")[0], base.rpartition("}}")[2]
        if "{{" in base:
            self._patterns.add((start, end))
        else:
            self._names.add(base)
        if file.path != self.file.path:
            return []
        self._own_named.append((start, end, path))
        siblings = [self.tree.sibling(file, f"{up}{path}") for up in ("", f"{self._up}vars/", self._up)]
        return [found for found in siblings if found is not None]

    def _set_in(self, file: SourceFile) -> Iterator[tuple[str, Definition]]:
        name = _name(file)
        is_named = name in self._names
        is_possible = any(name.startswith(start) and name.endswith(end) for start, end in self._patterns)
        is_defaults = _DEFAULTS.search(file.path) is not None
        if is_defaults and (self._role is None or not file.path.startswith(f"{self._role}defaults/")):
            return
        for root in _roots(file):
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
