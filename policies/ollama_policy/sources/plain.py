"""Models in plain YAML, JSON or TOML: one, a list, or a map of them by name, at the top or under `models`.

    memory_management: "automatic"                            a fragment, its name elsewhere
    models: [{name: llama3, memory_management: manual}]
    llama3: {memory_management: manual}

schemas/ollama_models.schema.json says the same to editors. Which files are meant is told by content: where the word
`memory_management` stands, and beside what. Many files have names, models, and settings of their own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ollama_policy.model.declaration_table import CHOICES, PROPERTIES
from ollama_policy.model.settings import Kind, Setting, SourceFile, Style, Subject, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax.json_spans import JsonNode
from ollama_policy.sources.syntax.plain_nodes import STYLES, YamlNode, documents, insertion, is_own

_MODE: Final = "memory_management"
_SIGN: Final = re.compile(rb"memory_management[\"']?[ \t]*[:=]")
_FILLED_IN: Final = re.compile(r"\{\{|\{%|\$\{|<%")
_ALWAYS_TEXT: Final = frozenset(("system", "template"))  # Ollama's own templates look like those of others


class Plain:
    """The story's own form."""

    name = "plain"

    def accepts(self, file: SourceFile) -> bool:
        return file.path.rpartition(".")[2] in STYLES and _SIGN.search(file.data) is not None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        style = STYLES[file.path.rpartition(".")[2]]
        for document in documents(file, style):
            for model in _models(document):
                yield _subject(model, file, style)


@dataclass(frozen=True, slots=True)
class _Model:
    """A model's mapping, the key that names it in a map of models, and what to call it where it has no name."""

    node: JsonNode
    key: JsonNode | None
    place: str
    is_fragment: bool = False


def _models(document: JsonNode) -> Iterator[_Model]:
    if (inside := document.get("models")) is not None:
        yield from _many(inside, "models")
    elif _is_model(document):
        yield _Model(document, None, _MODE, is_fragment=document.get("name") is None)
    elif document.items or all(isinstance(node.value, dict) for _, node in document.members):
        yield from _many(document, "")


def _many(box: JsonNode, path: str) -> Iterator[_Model]:
    models = [_Model(node, None, f"{path}[{number}]") for number, node in enumerate(box.items)]
    models += [_Model(node, key, key.value) for key, node in box.members if not key.value.startswith(("x-", ".", "_"))]
    if any(_is_model(model.node) for model in models):
        for model in models:
            is_like_them = isinstance(model.node.value, dict) and model.node.value.keys() <= PROPERTIES
            if is_like_them or _is_model(model.node):
                yield model


def _is_model(node: JsonNode) -> bool:
    """Whether a mapping declares a model, perhaps wrongly: by its mode, and by how much else of it is known here."""
    if not isinstance(node.value, dict) or _MODE not in node.value or isinstance(node.value[_MODE], dict | list):
        return False
    own = sum(key in PROPERTIES for key in node.value)
    foreign = len(node.value) - own
    if node.value[_MODE] in CHOICES[_MODE]:
        return foreign <= own
    return foreign == 0 or own > max(foreign, 1)


def _subject(model: _Model, file: SourceFile, style: Style) -> Subject:
    named = model.node.get("name") or model.key
    name = named.value if named is not None and isinstance(named.value, str) else model.place
    mode = next((key for key, _ in model.node.members if key.value == _MODE), model.node)
    place = model.key or named or mode
    subject = Subject(Kind.MODEL, name, file, place.span, style, is_fragment=model.is_fragment, unit=file.path)
    if model.key is not None:
        subject.add(Setting("name", model.key.value, model.key.span, file, "the key that names it", is_literal=False))
    for key, node in model.node.members:
        value = node.value
        if isinstance(value, str) and key.value not in _ALWAYS_TEXT and _FILLED_IN.search(value):
            value = Unknown(f"{value} is filled in by a template")
        if key.value == "name":
            subject.settings.pop("name", None)
        is_plain = not isinstance(value, Unknown | dict | list)
        is_literal = is_plain and (not isinstance(node, YamlNode) or node.is_literal)
        subject.add(Setting(key.value, value, node.span, file, is_literal=is_literal))
    if is_own(model.node):
        subject.insertion = insertion(model.node, file.data, style)
    return subject
