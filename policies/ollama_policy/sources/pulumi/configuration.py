"""What a Pulumi project and its stacks say of configuration values, without a stack being chosen.

    # Pulumi.yaml                                       # Pulumi.dev.yaml
    name: infra                                         config:
    config: {mode: {type: string, default: manual}}       infra:mode: automatic

A value is decided where every stack whose file is there comes to the same one: a stack's own value counts, and the
project's where it has none (mergeConfig and stackConfigNamespacedWithProject in pulumi's sdk/go/common/workspace).
"""

import re
from functools import cached_property
from typing import Any, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax.yaml_documents import documents
from ollama_policy.sources.syntax.yaml_nodes import Node

_STACK_FILE: Final = re.compile(r"Pulumi\..+\.ya?ml")
_LONGEST: Final = 60
_LONGEST_NUMBER: Final = 30
# Plain scalars that are text to some readers of YAML, and to others, or to older ones, a number, a truth or a date.
_AMBIGUOUS: Final = re.compile(
    r"(?i:y|n|yes|no|on|off|[-+]?\.inf|\.nan)|[-+]?[0-9_]*\.?[0-9_]*(?:e[-+]?[0-9_]*)?|0[xob][0-9a-f_]*|\d{4}-\d.*"
)


class Configured(NamedTuple):
    """A value, and the file that it stands in."""

    node: Node
    file: SourceFile
    type: str  # as the project declares it; empty where it does not

    @property
    def written(self) -> str:
        """As it stands in the file, for a message."""
        text = " ".join(self.file.data[self.node.start : self.node.end].decode("utf-8", "replace").split())
        return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


class Configuration:
    """The configuration of a project: the root of its file, and the files of its stacks beside it."""

    def __init__(self, root: Node, file: SourceFile, tree: Tree) -> None:
        self._root = root
        self._file = file
        self._tree = tree
        self._name = root.text_at("name")
        self.runtime: Final = root.text_at("runtime", "name") or root.text_at("runtime")

    def value(self, name: str, namespace: str = "") -> Configured | Unknown | None:
        """The value of a name, in the project's namespace where none is given. None: no stack sets it."""
        is_own = namespace in ("", self._name)
        keys = [f"{self._name}:{name}", name] if is_own else [f"{namespace}:{name}"]
        try:
            found = self._value(keys)
        except UnreadableError as error:
            found = Unknown(f"cannot be read: {error}")
        return Unknown(f"configuration value {name} {found.reason}") if isinstance(found, Unknown) else found

    def _value(self, keys: list[str]) -> Configured | Unknown | None:
        declaration, kind, default = self._declared(keys), "", None
        if declaration is not None and declaration.is_mapping:
            if declaration.text_at("secret") not in ("", "false"):
                return Unknown("is a secret")
            kind = declaration.text_at("type")
            given = (declaration.get(key) for key in ("default", "value"))
            default = next((node for node in given if node is not None and not node.is_null), None)
        elif declaration is not None and not declaration.is_null:
            default = declaration
        otherwise = None if default is None else _usable(default, self._file, kind)
        if isinstance(otherwise, Unknown):
            return otherwise
        if folder := self._folder_of_stacks:
            return Unknown(f"may be set by a stack in {folder}")
        of_stacks: list[tuple[str, Configured | None]] = []
        for file, root in self._stacks:
            found = _of_stack(file, root, keys, kind)
            if isinstance(found, Unknown):
                return found
            of_stacks.append((_last(file.path), found or otherwise))
        found = _agreed(of_stacks) if of_stacks else otherwise
        if found is None and declaration is not None:
            return Unknown(f"has no default in {self._file.path}")
        return found if found is not None or of_stacks else Unknown("is only known at deployment")

    def _declared(self, keys: list[str]) -> Node | None:
        """Where the project says something of a name; one whose program is YAML has two blocks for it."""
        blocks = ("config", "configuration") if self.runtime in ("", "yaml") else ("config",)
        return next((node for block in blocks if (node := _first(self._root.get(block), keys)) is not None), None)

    @property
    def _folder_of_stacks(self) -> str:
        """The folder of the stacks' files, where it is another than the project's."""
        return self._root.text_at("stackConfigDir") or self._root.text_at("config")

    @cached_property
    def _stacks(self) -> list[tuple[SourceFile, Node | None]]:
        """The files of the stacks, each with its root: None where it cannot be read."""
        suffix = self._file.path[self._file.path.rfind(".") :]
        beside = self._tree.folder(self._file, (suffix,))
        return [(file, _root(file)) for file in beside if _STACK_FILE.fullmatch(_last(file.path))]


def project_of(file: SourceFile, tree: Tree) -> Configuration | None:
    """The project of a program's file: the nearest above it, as Pulumi finds it. None: none that can be read."""
    for up in range(file.path.count("/") + 1):
        found = tree.sibling(file, "../" * up + "Pulumi.yaml") or tree.sibling(file, "../" * up + "Pulumi.yml")
        if found is not None:
            root = _root(found)
            return None if root is None else Configuration(root, found, tree)
    return None


def scalar(node: Node) -> Any:
    """What Pulumi makes of a scalar; Unknown where readers of YAML differ."""
    text = node.text
    if not node.is_plain:
        return text
    value = node.value
    is_plain_text = isinstance(value, str) and (len(text) > _LONGEST_NUMBER or not _AMBIGUOUS.fullmatch(text))
    if value is None or isinstance(value, bool) or is_plain_text:
        return value
    is_number = isinstance(value, int) or (isinstance(value, float) and not value.is_integer())
    if is_number and len(text) <= _LONGEST_NUMBER and repr(value) == text:
        return value
    return Unknown(f"readers of YAML differ about {text:.60}: put it in quotes")


def _root(file: SourceFile) -> Node | None:
    try:
        return next(iter(documents(file.data) or documents(b"{}")))
    except UnreadableError:
        return None


def _of_stack(file: SourceFile, root: Node | None, keys: list[str], kind: str) -> Configured | Unknown | None:
    name = _last(file.path)
    if root is None:
        return Unknown(f"may be set in {name}, which cannot be read")
    node, environment = _first(root.get("config"), keys), root.get("environment")
    is_merged = node is None or not node.is_scalar
    if is_merged and environment is not None and not environment.is_null:
        return Unknown(f"may be set by an environment of {name}")
    return None if node is None else _usable(node, file, kind)


def _usable(node: Node, file: SourceFile, kind: str) -> Configured | Unknown:
    """A value as it is written, unless it holds a secret, or what another tool resolves."""
    for inner in node.walk():
        if inner.get("secure") is not None:
            return Unknown(f"is a secret in {_last(file.path)}")
        if inner.has_own_tag:
            return Unknown(f"has the tag {inner.tag}, which another tool resolves")
    return Unknown(f"is null in {_last(file.path)}") if node.is_null else Configured(node, file, kind)


def _agreed(of_stacks: list[tuple[str, Configured | None]]) -> Configured | Unknown | None:
    """What all stacks come to, where the first has it; Unknown, with each that differs, where they do not agree."""
    different: dict[str, tuple[str, Configured | None]] = {}
    for path, found in of_stacks:
        different.setdefault("" if found is None else repr(found.node.value), (path, found))
    if len(different) > 1:
        each = (f"{'not set' if found is None else found.written} in {path}" for path, found in different.values())
        return Unknown(f"is {', '.join(each)}")
    return of_stacks[0][1]


def _first(block: Node | None, keys: list[str]) -> Node | None:
    return None if block is None else next((node for key in keys if (node := block.get(key)) is not None), None)


def _last(path: str) -> str:
    return path.rpartition("/")[2]
