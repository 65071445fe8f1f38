"""Pulumi programs in YAML: resources of the type `ollama:index:Model`, with `${...}` as far as the file says.

config: {mode: {default: automatic}}
resources: {chat: {type: ollama:index:Model, properties: {name: llama3, memoryManagement: "${mode}"}}}
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from ollama_policy.settings import Kind, Setting, SourceFile, Span, Style, Subject, Unknown, UnreadableError
from ollama_policy.sources.plain_nodes import YamlNode, insertion
from ollama_policy.sources.pulumi_resources import TYPES, first_unknown, snake
from ollama_policy.sources.source import Tree
from ollama_policy.sources.yaml_nodes import Node, documents

_WORDS: Final = tuple(name.encode() for name in TYPES)
_STACK_FILE: Final = re.compile(r"(?:.*/)?Pulumi\.[^/]+\.ya?ml")
_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_MAX_DEPTH: Final = 20  # of variables that refer to variables
_MAX_TEXT: Final = 10_000


class PulumiYaml:
    """The resources of a Pulumi.yaml whose runtime is yaml."""

    name = "pulumi-yaml"

    def accepts(self, file: SourceFile) -> bool:
        return b"resources" in file.data and any(word in file.data for word in _WORDS)

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        for root in documents(file.data):
            runtime = root.text_at("runtime", "name") or root.text_at("runtime")
            resources = root.get("resources")
            if resources is None or runtime not in ("", "yaml"):
                continue  # programs in other languages have their resources elsewhere
            program = _Program(root, file, tree)
            for name, resource in resources.members:
                if resource.text_at("type") in TYPES:
                    yield program.subject(name, resource)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value, and where it is written: at the property itself, or at what that refers to."""

    value: Any
    span: Span
    origin: str = ""


class _Program:
    def __init__(self, root: Node, file: SourceFile, tree: Tree) -> None:
        self._file = file
        self._tree = tree
        self._variables = _named(root.get("variables"))
        self._config = {name.rpartition(":")[2]: node for name, node in _named(root.get("configuration")).items()}
        self._config |= {name.rpartition(":")[2]: node for name, node in _named(root.get("config")).items()}
        self._project = root.text_at("name")

    def subject(self, name: Node, resource: Node) -> Subject:
        unit = posixpath.dirname(self._file.path)
        subject = Subject(Kind.MODEL, f"resources.{name.text}", self._file, name.span, Style.YAML, unit=unit)
        properties = resource.get("properties")
        if properties is None:
            return subject
        for key, node in properties.members:
            found = self._evaluated(node, 0)
            is_own = not found.origin and not node.is_shared and node.is_scalar and node.style not in ("|", ">")
            is_literal = is_own and found.span.start < found.span.end and not isinstance(found.value, Unknown)
            subject.add(Setting(snake(key.text), found.value, found.span, self._file, found.origin, is_literal))
        if not properties.is_mapping:
            subject.unknown = Unknown("the properties are no mapping")
        elif not properties.is_shared and (place := insertion(YamlNode(properties), self._file.data, Style.YAML)):
            subject.insertion = replace(place, is_camel_case=True)
        return subject

    def _evaluated(self, node: Node, depth: int) -> _Value:
        if node.has_own_tag:
            return _Value(Unknown(f"{node.tag} is resolved by another tool"), node.span)
        if node.is_sequence:
            values = [self._evaluated(item, depth).value for item in node.items]
            return _Value(first_unknown(values) or values, node.span)
        if node.is_mapping:
            call = next((key.text for key, _ in node.members if key.text.lower().startswith("fn::")), "")
            if call:
                return _Value(Unknown(f"{call} is only known at deployment"), node.span)
            members = {key.text: self._evaluated(item, depth).value for key, item in node.members}
            return _Value(first_unknown(members) or members, node.span)
        if not isinstance(node.value, str) or "${" not in node.value:
            return _Value(node.value, node.span)
        return self._interpolated(node, depth)

    def _interpolated(self, node: Node, depth: int) -> _Value:
        text = node.text
        if whole := _REFERENCE.fullmatch(text):
            if whole[1] is None:
                return _Value("${", node.span, text)
            found = self._referred(whole[1].strip(), depth)
            return _Value(found.value, node.span if isinstance(found.value, Unknown) else found.span, text)
        parts, at = [], 0
        for reference in _REFERENCE.finditer(text):
            parts.append(text[at : reference.start()])
            at = reference.end()
            part = "${" if reference[1] is None else self._referred(reference[1].strip(), depth).value
            if isinstance(part, Unknown):
                return _Value(part, node.span)
            parts.append(str(part).lower() if isinstance(part, bool) else str(part))
        value = "".join(parts) + text[at:]
        return _Value(value if len(value) <= _MAX_TEXT else Unknown("it is too long to evaluate"), node.span, text)

    def _referred(self, name: str, depth: int) -> _Value:
        nowhere = Span(0, 0)
        if depth > _MAX_DEPTH:
            return _Value(Unknown(f"{name} refers to itself"), nowhere)
        if (variable := self._variables.get(name)) is not None:
            return self._evaluated(variable, depth + 1)
        if (declared := self._config.get(name)) is None:
            return _Value(Unknown(f"{name} is only known at deployment"), nowhere)
        default = declared if declared.is_scalar else declared.get("value") or declared.get("default")
        if default is None or not default.is_scalar or default.is_null:
            return _Value(Unknown(f"configuration value {name} is only known at deployment"), nowhere)
        if (other := self._stack_with_another(name, default.value)) is not None:
            return _Value(Unknown(f"configuration value {name} is {default.text:.60} unless {other} is used"), nowhere)
        return _Value(default.value, default.span)

    def _stack_with_another(self, name: str, value: Any) -> str | None:
        """The path of a stack's configuration beside the program that gives a name another value."""
        for file in self._tree.folder(self._file, (".yaml", ".yml")):
            if _STACK_FILE.fullmatch(file.path) is None or name.encode() not in file.data:
                continue
            try:
                roots = documents(file.data)
            except UnreadableError:
                return file.path
            for root in roots:
                given = root.at("config", f"{self._project}:{name}")
                if given is not None and (not given.is_scalar or given.value != value):
                    return file.path
        return None


def _named(node: Node | None) -> dict[str, Node]:
    return {} if node is None else {key.text: value for key, value in node.members}
