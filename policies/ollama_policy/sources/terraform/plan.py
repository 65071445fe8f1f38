"""What `terraform show -json PLAN` writes: every value as it will be, placed in the `.tf` beside it.

Fact: Terraform's "JSON Output Format" (planned_values, resource_changes, configuration).
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.model.settings import IMAGE, Kind, Setting, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax import json_spans
from ollama_policy.sources.terraform import models, servers
from ollama_policy.sources.terraform.language.blocks import ABSENT, Block, attribute
from ollama_policy.sources.terraform.language.scope import Scope
from ollama_policy.sources.terraform.language.terraform_json import JsonBlock
from ollama_policy.sources.terraform.modules.module import Folder, Instance, Workspace
from ollama_policy.sources.terraform.server_reader import Reader

# What the provider says about a model, never what a user declares (where the plan has no configuration to tell them).
OUTPUTS: Final = frozenset(
    "id size family parameter_size quantization_level context_length capabilities pinned drift gguf_file".split()
)
_KEY: Final = re.compile(r'\["(?:[^"\\]|\\.)*"\]')
_WORD: Final = re.compile(rb"\w+")
_ORIGIN: Final = "the plan"
_MAX_DEPTH: Final = 32


class TerraformPlanSource:
    """Reads a plan as JSON."""

    name = "terraform-plan"

    def accepts(self, file: SourceFile) -> bool:
        data = file.data
        return file.path.endswith(".json") and b'"planned_values"' in data and b"ollama" in data.lower()

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        root = json_spans.parse(file.data)
        plan = _Plan(file, root, Workspace(tree))
        for resource in resources_in(root.at("planned_values", "root_module"), _MAX_DEPTH):
            yield from plan.subjects(resource)


def resources_in(module: Any, depth: int) -> Iterator[Any]:
    """The resources of a module as Terraform shows it, and of those in it."""
    if module is None or depth == 0:
        return
    for key in ("resources", "child_modules"):
        box = module.get(key)
        for each in box.items if box is not None else ():
            if key == "resources":
                yield each
            else:
                yield from resources_in(each, depth - 1)


class _Module:
    """A module of a plan's configuration. `declared`: the attributes given to each resource, by its type and name."""

    def __init__(self, node: Any) -> None:
        self.declared: dict[tuple[str, str], set[str]] = {}
        resources, calls = node.get("resources"), node.get("module_calls")
        for each in resources.items if resources is not None else ():
            expressions = each.get("expressions")
            keys = {str(key.value) for key, _ in expressions.members} if expressions is not None else set()
            self.declared.setdefault((_text(each.get("type")), _text(each.get("name"))), keys)
        self._calls = {key.value: value for key, value in calls.members} if calls is not None else {}
        self._called: dict[str, _Module | None] = {}

    def source(self, call: str) -> str:
        node = self._calls.get(call)
        return "" if node is None else _text(node.get("source"))

    def called(self, call: str) -> "_Module | None":
        if call not in self._called:
            node = self._calls[call].get("module") if call in self._calls else None
            self._called[call] = None if node is None else _Module(node)
        return self._called[call]


class _Plan:
    def __init__(self, file: SourceFile, root: Any, workspace: Workspace) -> None:
        self.file = file
        node = root.at("configuration", "root_module")
        self.root = None if node is None else _Module(node)
        self.workspace = workspace
        changes = root.get("resource_changes")
        self.changes = {_text(each.get("address")): each for each in (changes.items if changes is not None else ())}
        self.folders: dict[str, Folder | None] = {}
        self.words: dict[tuple[str, int], dict[bytes, Span]] = {}

    def subjects(self, resource: Any) -> Iterator[Subject]:
        kind, name, values = _text(resource.get("type")), _text(resource.get("name")), resource.get("values")
        if values is None or not isinstance(values.value, dict) or _text(resource.get("mode")) == "data":
            return
        address = _text(resource.get("address"))
        unknown, sensitive = self._parts(address, "after_unknown"), self._parts(address, "after_sensitive")
        calls = re.findall(r"(?:^|\.)module\.([^.\[]+)", _KEY.sub("", address))
        written = self._block(calls, kind, name)
        if kind == models.RESOURCE:
            declared = self._declared(calls, kind, name)
            yield self._model(resource, values, address, written, declared, unknown, sensitive)
        elif kind in servers.READERS:
            yield from self._servers(values, kind, name, address, written, unknown)

    def _parts(self, address: str, which: str) -> dict[str, Any]:
        change = self.changes.get(address)
        node = None if change is None else change.at("change", which)
        return node.value if node is not None and isinstance(node.value, dict) else {}

    def _model(
        self,
        resource: Any,
        values: Any,
        address: str,
        written: Block | None,
        declared: set[str] | None,
        unknown: dict[str, Any],
        sensitive: dict[str, Any],
    ) -> Subject:
        subject = self._subject(Kind.MODEL, address, written, resource.get("address") or resource)
        known = {key.value: (key, value) for key, value in values.members}
        for key in [*known, *(key for key in unknown if key not in known)]:
            if key in models.META or (key not in declared if declared is not None else key in OUTPUTS):
                continue
            node = known[key][1] if key in known else None
            value: Any = None if node is None else _without_nulls(node.value)
            if unknown.get(key) and not (isinstance(unknown[key], dict) and not _any(unknown[key])):
                value = Unknown(f"{key} is only known at apply")
            elif sensitive.get(key) is True:
                value = Unknown(f"{key} is sensitive")
            if value is None or (value == {} and key == "timeouts"):
                continue
            given = None if written is None else attribute(written, key)
            if given is not None:
                is_literal = given.literal() is not ABSENT and attribute(_held(written), "count") is None
                is_literal = is_literal and attribute(_held(written), "for_each") is None and "module." not in address
                place, file = Span(given.start, given.end), given.file
            elif written is not None:
                is_literal, place, file = False, Span(written.start, written.header_end), written.file
            else:
                is_literal, place, file = False, (node or resource).span, self.file
            subject.add(Setting(key, value, place, file, _ORIGIN, is_literal))
        return subject

    def _subject(self, kind: Kind, address: str, written: Block | None, node: Any) -> Subject:
        unit = posixpath.dirname(self.file.path) or "."
        if written is None:
            return Subject(kind, address, self.file, node.span, Style.JSON, unit=unit)
        place = Span(written.start, written.header_end)
        style = Style.JSON if written.is_json else Style.HCL
        subject = Subject(kind, address, written.file, place, style, unit=unit)
        if "[" not in address and "module." not in address and kind is Kind.MODEL:
            subject.insertion = models.insertion(written, written.attributes())
        return subject

    def _servers(
        self, values: Any, kind: str, name: str, address: str, written: Block | None, unknown: dict[str, Any]
    ) -> Iterator[Subject]:
        block = JsonBlock(self.file, "resource", [kind, name], values, values)
        block.header_end = block.start + 1
        instance = Instance(Folder(self.workspace, "", []))
        scope = Scope(instance, {}, self.workspace.work, is_final=True)
        for subject in servers.READERS[kind](Reader(block, instance, scope, address)):
            subject.unit = posixpath.dirname(self.file.path) or "."
            for part in ("env", "task_spec", "spec", "container_definitions", "values", "set"):
                if part in unknown and _any(unknown[part]):
                    subject.unknown = Unknown(f"parts of {part} are only known at apply")
            for setting in subject.settings.values():
                setting.origin, setting.is_literal = _ORIGIN, False
            if written is not None:
                key = written.file.path, written.start
                if key not in self.words:
                    self.words[key] = _words(written)
                _move(subject, written, self.words[key])
            yield subject

    def _declared(self, calls: list[str], kind: str, name: str) -> set[str] | None:
        """The attributes that the configuration gives to a resource; None where the plan does not say."""
        module = self.root
        for call in calls:
            module = None if module is None else module.called(call)
        return None if module is None else module.declared.get((kind, name))

    def _block(self, calls: list[str], kind: str, name: str) -> Block | None:
        """The block in the tree that a resource was planned from."""
        path, module = posixpath.dirname(self.file.path), self.root
        for call in calls:
            source = "" if module is None else module.source(call)
            if module is None or not source.startswith(("./", "../")):
                return None
            path = posixpath.normpath(posixpath.join(path, source))
            module = module.called(call)
        path = "" if path == "." else path
        if path not in self.folders:
            self.folders[path] = self.workspace.folder_at(path)
        folder = self.folders[path]
        return None if folder is None else folder.block("resource", [kind, name])


def _words(block: Block) -> dict[bytes, Span]:
    """Where each word of a block stands first."""
    found: dict[bytes, Span] = {}
    for word in _WORD.finditer(block.file.data, block.start, block.end):
        found.setdefault(word[0], Span(*word.span()))
    return found


def _move(subject: Subject, written: Block, words: dict[bytes, Span]) -> None:
    """Places a server's settings where the block in the `.tf` speaks of them, else at its header."""
    header = Span(written.start, written.header_end)
    for setting in subject.settings.values():
        setting.span = words.get(b"image" if setting.key == IMAGE else setting.key.encode(), header)
        setting.file = written.file
    subject.file, subject.span = written.file, header
    subject.style = Style.JSON if written.is_json else Style.HCL


def _held(block: Block | None) -> Block:
    assert block is not None
    return block


def _text(node: Any) -> str:
    return node.value if node is not None and isinstance(node.value, str) else ""


def _any(value: Any) -> bool:
    """Whether a mask of a plan has any true in it."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if each is True:
            return True
        waiting += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return False


def _without_nulls(value: Any) -> Any:
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value
