"""A Terraform module: a folder's files as one, and each instance of it with its variables' values."""

# What a file of plainly written blocks does not need is imported where it is needed.
# ruff: noqa: PLC0415

import posixpath
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Unknown
from ollama_policy.sources.common.budget import Budget
from ollama_policy.sources.common.kept import Kept
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.words import Words
from ollama_policy.sources.terraform.language import syntax
from ollama_policy.sources.terraform.language.blocks import Attribute, Block, Expression, attribute
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.language.scope import Scope, Work
from ollama_policy.sources.terraform.modules.expansion import MAX_INSTANCES, expand, is_multiple
from ollama_policy.sources.terraform.modules.folders import (
    HCL,
    JSON,
    VALUES,
    is_loaded,
    is_override,
    precedence,
)
from ollama_policy.sources.terraform.modules.parsed_files import Parsed
from ollama_policy.sources.terraform.modules.references import ModuleReference, ResourceReference

_MAX_CALLS: Final = 8  # one inside of another
_LEAST_STEPS: Final = 1_000_000  # of all expressions of a tree
_AN_ITEM: Final = 2  # steps: a function looks at each item a few times
_MAX_VISITS: Final = 5000  # of a folder, on the way up from others
_PROVIDER: Final = re.compile(rb'\bprovider[\s"]')
_LOCAL_SOURCE: Final = re.compile(rb'\bsource"?[ \t]*[=:][ \t]*"\.\.?/')


class Workspace:
    """The Terraform files of one tree, each parsed once as long as there is room."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.work = Work()
        # Each block may take many steps, and N blocks may each look through one list of N.
        self.budget = Budget(0, "many blocks, each with expressions that take long", _LEAST_STEPS)
        self.visits = 0
        self._folders: dict[str, Folder] = {}
        self._parsed = Kept(Parsed)
        self._calls: dict[str, list[Call]] | None = None

    def spend(self, block: Block) -> None:
        """Counts what a block took. Raises TooLargeError where the tree's blocks took too much."""
        self.budget.spend(self.work.steps + _AN_ITEM * self.work.items, block.start)
        self.work.steps = self.work.items = 0

    def folder(self, file: SourceFile) -> "Folder":
        path = posixpath.dirname(file.path)
        if path not in self._folders:
            self._folders[path] = Folder(self, path, self.tree.folder(file, (*HCL, *JSON, *VALUES)))
        return self._folders[path]

    def folder_at(self, path: str) -> "Folder | None":
        """The module in a folder of the tree; None where there is none."""
        if path not in self._folders:
            files = self.tree.files((*HCL, *JSON))
            first = next((file for file in files if posixpath.dirname(file.path) == path), None)
            return None if first is None else self.folder(first)
        return self._folders[path]

    def blocks(self, file: SourceFile) -> list[Block]:
        """The blocks of a file. Raises UnreadableError."""
        return self._parsed.of(file).blocks

    def block(self, file: SourceFile, kind: str, labels: list[str]) -> Block | None:
        """The first block of a file of that kind and those labels. Raises UnreadableError."""
        return self._parsed.of(file).by_labels.get((kind, *labels))

    def locals(self, file: SourceFile) -> dict[str, Attribute]:
        """The attributes of the `locals` blocks of a file. Raises UnreadableError."""
        return self._parsed.of(file).locals

    def calls(self, path: str) -> "list[Call]":
        """The `module` blocks of the tree whose local source is that folder."""
        if self._calls is None:
            self._calls = {}
            for file in self.tree.files((*HCL, *JSON)):
                if b"module" in file.data and _LOCAL_SOURCE.search(file.data):
                    self._add_calls(file)
        return self._calls.get(path, [])

    def _add_calls(self, file: SourceFile) -> None:
        assert self._calls is not None
        try:
            blocks = self.blocks(file)
        except UnreadableError:
            return  # said where that file itself is read, if there is anything of ours in it
        for block in blocks:
            if block.kind != "module" or len(block.labels) != 1:
                continue
            if (path := _local_source(block)) is not None:
                self._calls.setdefault(path, []).append(Call(file, block))


class Call(NamedTuple):
    """A `module` block."""

    file: SourceFile
    block: Block


class Folder:
    """The files of a module, and where in them a name is declared."""

    def __init__(self, workspace: Workspace, path: str, files: list[SourceFile]) -> None:
        self.workspace = workspace
        self.path = path
        self.files = [file for file in files if file.path.endswith((*HCL, *JSON))]
        # Terraform merges the blocks of these into those of the other files.
        self.overrides = [file for file in self.files if is_override(file)]
        self._values = [file for file in files if file.path.endswith(VALUES)]
        self._tfvars: dict[str, tuple[SourceFile, Expression | Unknown]] | None = None
        self._declared: dict[tuple[str, ...], Block | None] = {}
        self._locals: dict[str, Attribute] | None = None
        self._instances: list[Instance] | None = None
        self.broken: SourceFile | None = None  # a sibling that does not parse

    def blocks(self, file: SourceFile) -> list[Block]:
        """The blocks of one of its files; none where it does not parse, which `broken` then says."""
        try:
            return self.workspace.blocks(file)
        except UnreadableError:
            self.broken = file
            return []

    def variable(self, name: str, near: SourceFile | None) -> Block | None:
        """The block that declares a variable; looked for in the file `near` first."""
        return self.block("variable", [name], near)

    def local(self, name: str, near: SourceFile | None) -> Attribute | None:
        """The attribute of a `locals` block; looked for in the file `near` first."""
        if self._locals is None:
            if near is not None and (found := self._locals_of(near).get(name)):
                return found
            self._locals = {}
            for file in self.files:
                if b"locals" in file.data:
                    self._locals |= self._locals_of(file)
        return self._locals.get(name)

    def _locals_of(self, file: SourceFile) -> dict[str, Attribute]:
        if b"locals" not in file.data:
            return {}
        try:
            return self.workspace.locals(file)
        except UnreadableError:
            self.broken = file
            return {}

    def block(self, kind: str, labels: list[str], near: SourceFile | None = None) -> Block | None:
        """The block of that kind and those labels; looked for in the file `near` first."""
        if near is not None and (found := self._block_in(near, kind, labels)) is not None:
            return found
        key = (kind, *labels)
        if key not in self._declared:
            every = (self._block_in(file, kind, labels) for file in self._words.files_with(labels))
            self._declared[key] = next((block for block in every if block is not None), None)
        return self._declared[key]

    @cached_property
    def providers(self) -> dict[str, list[Block]]:
        """The `provider` blocks by what resources name them: `ollama`, `ollama.gpu`; those of override files last."""
        found: dict[str, list[Block]] = {}
        for file in sorted(self.files, key=is_override):
            if _PROVIDER.search(file.data) is None:
                continue
            for block in self.blocks(file):
                if block.kind == "provider" and len(block.labels) == 1:
                    alias = attribute(block, "alias")
                    label = block.labels[0] if alias is None else f"{block.labels[0]}.{alias.literal()}"
                    found.setdefault(label, []).append(block)
        return found

    def _block_in(self, file: SourceFile, kind: str, labels: list[str]) -> Block | None:
        try:
            return self.workspace.block(file, kind, labels)
        except UnreadableError:
            self.broken = file
            return None

    @cached_property
    def _words(self) -> Words:
        return Words(self.files)

    def tfvars(self) -> dict[str, tuple[SourceFile, Expression | Unknown]]:
        """What the files say that Terraform loads by itself, the later over the earlier, by variable."""
        if self._tfvars is None:
            from ollama_policy.sources.terraform.modules import tfvars

            self._tfvars = {}
            for file in sorted(filter(is_loaded, self._values), key=precedence):
                for name, value in tfvars.read(file):
                    self._tfvars[name] = (file, value)
        return self._tfvars

    @property
    def is_root(self) -> bool:
        """Whether it is applied by itself, called from elsewhere in the tree or not."""
        return any(is_loaded(file) for file in self._values) or not self.workspace.calls(self.path)

    def instances(self, callers: tuple[str, ...] = ()) -> "list[Instance]":
        """Every instance of the module that the tree shows."""
        if self._instances is not None:
            return self._instances
        workspace = self.workspace
        found, is_cut = [Instance(self)] if self.is_root else [], False
        workspace.visits += 1
        if self.path in callers or len(callers) >= _MAX_CALLS or workspace.visits > _MAX_VISITS:
            is_cut = True
        else:
            for call in workspace.calls(self.path):
                for each in workspace.folder(call.file).instances((*callers, self.path)):
                    if len(found) < MAX_INSTANCES:
                        found += each.called(self, call)
        found = found[:MAX_INSTANCES]
        if not callers:
            # Folders that only call each other in a circle are applied by nobody, and are looked at all the same.
            is_cut = is_cut or (not found and not any(is_multiple(call.block) for call in workspace.calls(self.path)))
            self._instances = found or ([Instance(self)] if is_cut else [])
        return found if callers else self._instances or []


class Instance:
    """A module as it is applied: as a root, or by a call with arguments. These are the names of its expressions.

    `prefix` is that of an address (`module.m["a"].`), `root` the folder of the root module, `outer` where the call's
    arguments are evaluated.
    """

    def __init__(
        self, folder: Folder, prefix: str = "", root: str = "", call: Block | None = None, outer: Scope | None = None
    ) -> None:
        self.folder = folder
        self.prefix = prefix
        self.root = root if call is not None else folder.path or "."
        self.call = call
        self.outer = outer
        self.near: SourceFile | None = None  # where names are looked for first
        self._known: dict[tuple[str, str], Any] = {}
        self._origins: dict[str, str] = {}
        self._expansions: dict[tuple[str, int], dict[str, Scope]] = {}

    def scope(self) -> Scope:
        return Scope(self, {}, self.folder.workspace.work)

    def expansion(self, block: Block) -> dict[str, Scope]:
        """The scopes of a block's instances, by what each has behind its address; worked out once."""
        key = (block.file.path, block.start)
        if key not in self._expansions:
            self._expansions[key] = dict(expand(block, self.scope()))
        return self._expansions[key]

    def called(self, folder: Folder, call: Call) -> "list[Instance]":
        """The instances of another module that this one's call makes."""
        self.near = call.file
        name = call.block.labels[0]
        return [
            Instance(folder, f"{self.prefix}module.{name}{suffix}.", self.root, call.block, scope)
            for suffix, scope in expand(call.block, self.scope())
        ]

    @property
    def caller(self) -> "Instance | None":
        """The instance of the module whose call this is of."""
        return self.outer.names if self.outer is not None and isinstance(self.outer.names, Instance) else None

    @property
    def has_providers(self) -> bool:
        """Whether the call hands providers over, so that their configuration stands elsewhere."""
        return self.call is not None and attribute(self.call, "providers") is not None

    def variable(self, name: str) -> Any:
        return self.once("var", name, self._variable)

    def local(self, name: str) -> Any:
        return self.once("local", name, self._local)

    def resource(self, kind: str, name: str) -> Any:
        block = self.folder.block("resource", [kind, name], self.near)
        if block is None:
            return Unknown(f"{kind}.{name} is not declared in this module")
        return ResourceReference(self, block)

    def module(self, name: str) -> Any:
        block = self.folder.block("module", [name], self.near)
        return Unknown(f"module.{name} is not declared here") if block is None else ModuleReference(self, block)

    def origin(self, name: str) -> str:
        """Where a variable's value came from, in words; after it was asked for."""
        return self._origins.get(name, f"var.{name}")

    def output(self, block: Block, address: str, name: str, scope: Scope | None) -> Any:
        """What a module that is called by a block says of itself."""
        path, written = _local_source(block), f"{address}.{name}"
        if path is None:
            return Unknown(f"{written} is an output of a module that is not in the tree")
        prefix = f"{self.prefix}{address}."
        folder = self.folder.workspace.folder_at(path) if prefix.count("module.") <= _MAX_CALLS else None
        output = None if folder is None else folder.block("output", [name])
        if folder is None or output is None:
            return Unknown(f"{written} is an output that is not in the tree")
        parts = {each.name: each for each in output.attributes()}
        if any(key in parts and parts[key].literal() is not False for key in ("sensitive", "ephemeral")):
            return Unknown(f"{written} is sensitive")
        if "value" not in parts or folder.overrides:
            return Unknown(f"{written} has no value that can be read")
        inner = Instance(folder, prefix, self.root, block, scope or self.scope())
        return evaluate(parts["value"], inner.scope())

    def once(self, root: str, name: str, find: Callable[[str], Any]) -> Any:
        key = (root, name)
        if key not in self._known:
            self._known[key] = Unknown(f"{root}.{name} refers to itself")
            work = self.folder.workspace.work
            work.depth += 4  # as deep on the stack as four levels of an expression
            try:
                self._known[key] = find(name)
            finally:
                work.depth -= 4
        return self._known[key]

    def _local(self, name: str) -> Any:
        found = self.folder.local(name, self.near)
        if found is None:
            return Unknown(f"local.{name} is not declared in this module{self._why()}")
        return evaluate(found, self.scope())

    def _why(self) -> str:
        broken = self.folder.broken
        return "" if broken is None else f": {posixpath.basename(broken.path)} does not parse"

    def _variable(self, name: str) -> Any:
        block = self.folder.variable(name, self.near)
        if block is None:
            return Unknown(f"var.{name} is not declared in this module{self._why()}")
        parts = {each.name: each for each in block.attributes()}
        for secret in ("sensitive", "ephemeral"):
            if secret in parts and parts[secret].literal() is not False:
                return Unknown(f"var.{name} is {secret}")
        value, is_given = self._given(name)
        default = evaluate(parts["default"], self.scope()) if "default" in parts else None
        if value is None and is_given and "nullable" in parts and parts["nullable"].literal() is False:
            is_given = False
        if not is_given:
            if "default" not in parts:
                caller = "" if self.call is None else f", and {self.prefix.rstrip('.')} does not give it"
                return Unknown(f"var.{name} has no default{caller}")
            value = default
            self._origins[name] = f"default of var.{name}"
        wanted = parts.get("type")
        if wanted is None:
            return value
        kind: Expression | None = wanted
        if wanted.is_json:
            kind = syntax.expression(str(wanted.node.value))
        if kind is None:
            return Unknown("a type that is not understood")
        from ollama_policy.sources.terraform.language.types import convert

        return convert(value, kind, self.scope())

    def _given(self, name: str) -> tuple[Any, bool]:
        """What a call or a file gives to a variable, and whether anything does."""
        if self.call is not None and self.outer is not None:
            argument = attribute(self.call, name)
            if argument is None:
                return None, False
            self._origins[name] = f"var.{name} given by {self.prefix.rstrip('.')}"
            return evaluate(argument, self.outer), True
        found = self.folder.tfvars().get(name) or self.folder.tfvars().get("")
        if found is None:
            return None, False
        file, value = found
        self._origins[name] = f"var.{name} in {posixpath.basename(file.path)}"
        return (value if isinstance(value, Unknown) else evaluate(value, self.scope())), True


def _local_source(block: Block) -> str | None:
    """The folder of the module that a `module` block calls, where that is in the tree."""
    source = attribute(block, "source")
    value = None if source is None else source.literal()
    if not isinstance(value, str) or not value.startswith(("./", "../")):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(block.file.path), value))
    return "" if path == "." else path
