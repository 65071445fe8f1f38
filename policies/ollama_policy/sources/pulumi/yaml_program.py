"""Pulumi programs in YAML: resources of the type `ollama:index:Model`, with `${...}` as far as the file says.

config: {mode: {default: automatic}}
resources: {chat: {type: ollama:index:Model, properties: {name: llama3, memoryManagement: "${mode}"}}}
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Kind, Setting, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.pulumi.configuration import Configuration, Configured, scalar
from ollama_policy.sources.pulumi.resources import TYPES, first_unknown, snake
from ollama_policy.sources.syntax.plain_nodes import YamlNode, insertion
from ollama_policy.sources.syntax.yaml_documents import documents
from ollama_policy.sources.syntax.yaml_nodes import Node

_WORDS: Final = tuple(name.encode() for name in TYPES)
_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_PLAIN_NAME: Final = re.compile(r"[\w:-]+")  # what has a dot is a resource's output
_NO_TEXT: Final = re.compile(r"true|false|[-+]?[0-9.]+(?:e[-+]?[0-9]+)?", re.IGNORECASE)
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


class _Value(NamedTuple):
    """A value, and where it is written: at the property itself, or at what that refers to."""

    value: Any
    span: Span
    origin: str = ""
    file: SourceFile | None = None  # where it is another


class _Program:
    def __init__(self, root: Node, file: SourceFile, tree: Tree) -> None:
        self._file = file
        self._variables = _named(root.get("variables"))
        self._configuration = Configuration(root, file, tree)

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
            at = found.file or self._file
            subject.add(Setting(snake(key.text), found.value, found.span, at, found.origin, is_literal))
        if not properties.is_mapping:
            subject.unknown = Unknown("the properties are not a mapping")
        elif not properties.is_shared and (place := insertion(YamlNode(properties), self._file.data, Style.YAML)):
            subject.insertion = place._replace(is_camel_case=True)
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
            is_unknown = isinstance(found.value, Unknown)
            return _Value(found.value, node.span, text) if is_unknown else found._replace(origin=text)
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
        namespace, _, key = name.rpartition(":")
        found = self._configuration.value(key, namespace) if _PLAIN_NAME.fullmatch(name) else None
        if isinstance(found, Configured):
            return _configured(key, found)
        return _Value(found or Unknown(f"{name} is only known at deployment"), nowhere)


def _configured(name: str, found: Configured) -> _Value:
    """A configuration value, of the type that the project declares, or that it looks to have."""
    node = found.node
    try:
        value = scalar(node) if node.is_scalar else node.value
    except UnreadableError as error:
        value = Unknown(f"configuration value {name} cannot be read: {error}")
    if isinstance(value, str) and not node.is_plain and found.type.lower() != "string" and _NO_TEXT.fullmatch(value):
        value = Unknown(f"configuration value {name} is {found.written}, and its type is not declared")
    return _Value(value, node.span, file=found.file)


def _named(node: Node | None) -> dict[str, Node]:
    return {} if node is None else {key.text: value for key, value in node.members}
