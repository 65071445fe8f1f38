"""The value of `{{ name }}` where a task stands. Jinja is not evaluated: a name, a path into a map, and `default('x')`.

A task's, block's or play's own `vars` hold where they stand, unless something that wins over them says otherwise. Any
other name counts where all places of the tree that set it say the same.
"""

import re
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import GPU_COUNT, MEMORY_LIMIT, Setting, SourceFile, Subject, Unknown
from ollama_policy.sources.ansible.definitions import Definition, Definitions
from ollama_policy.sources.common.sizes import sized
from ollama_policy.sources.common.yaml_environment import Assignment, excerpt, of_node, written
from ollama_policy.sources.syntax.yaml_nodes import Node

EXPRESSION: Final = re.compile(
    r"\{\{-?\s*(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,4})"
    r"(?:\s*\|\s*default\(\s*(?:'(?P<single>[^'{}]*)'|\"(?P<double>[^\"{}]*)\"|(?P<bare>[\w.-]+))\s*"
    r"(?P<if_false>,\s*(?:boolean\s*=\s*)?[Tt]rue\s*)?\))?"
    r"(?:\s*\|\s*(?:string|trim|quote))*\s*-?\}\}"
)
# Plain scalars that YAML 1.1 takes for another text than they are: booleans, octal, 1_000, 12:30 and 1.50.
_NO_TEXT: Final = re.compile(
    r"yes|no|on|off|[-+]?(?:0[xob]?[0-9a-f_]+|[0-9]+_[0-9_]*|[1-9][0-9]*(?::[0-5]?[0-9])+|[0-9]+\.(?:[0-9]+0)?)",
    re.IGNORECASE,
)
_MAX_DEPTH: Final = 8
_MOST_PARTS: Final = 8  # of one text, each of which may have as many


class Found(NamedTuple):
    """What a variable is, and the file that says so."""

    node: Node
    file: SourceFile


def _maps(names: Mapping[str, Found]) -> list[MutableMapping[str, Found]]:
    return names.maps if isinstance(names, ChainMap) else [{**names}] if names else []


class Scope:
    """The variables that a task sees. `own`: those that its task, blocks and play set where it stands."""

    def __init__(self, definitions: Definitions, own: Mapping[str, Found] | None = None) -> None:
        self.file = definitions.file
        self.tree = definitions.tree
        self.own = own or {}
        self._definitions = definitions

    def within(self, variables: Node | None) -> "Scope":
        """The scope with a play's or a task's `vars` over it."""
        if variables is None or not variables.is_mapping:
            return self
        return self.having({key.text: Found(value, self.file) for key, value in variables.members})

    def having(self, own: Mapping[str, Found]) -> "Scope":
        """The scope with variables over it."""
        return Scope(self._definitions, ChainMap({**own}, *_maps(self.own)))

    def find(self, path: str) -> Found | Unknown | None:
        """What a name, or a dotted path into it, stands for; None where nothing in the tree says anything of it."""
        name, *rest = path.split(".")
        try:
            found = self._decided(name)
            if not isinstance(found, Found):
                return found
            node = found.node.at(*rest)
        except UnreadableError:
            return Unknown(f"{name} is nested too deeply")
        return None if node is None else Found(node, found.file)

    def _decided(self, name: str) -> Found | Unknown | None:
        own = self.own.get(name)
        places = self._definitions.of(name)
        if own is not None:
            places = [Definition(own.node, own.file, is_late=True), *(place for place in places if place.is_late)]
        if self._definitions.missing:
            return Unknown(f"{excerpt(self._definitions.missing)}, which may set {name}, is not in the tree")
        if not places:
            return None
        first = places[0]
        for place in places:
            if place.node is None:
                return Unknown(f"{name} is set by a run: {place.file.path}")
            if first.node is not None and repr(place.node.value) != repr(first.node.value):
                return Unknown(f"{name} is set in {place.file.path} too")
        return None if first.node is None else Found(first.node, first.file)

    def setting(self, key: str, assigned: Assignment, file: SourceFile, origin: str = "", depth: int = 0) -> Setting:
        """The setting for an assignment, its expressions resolved as far as they can be."""
        span, node = assigned.span, assigned.node
        text = "" if assigned.value is None else assigned.value.text
        if assigned.value is None and (node is None or node.is_null):
            return Setting(key, "", span, file, origin, is_literal=False)
        if assigned.value is None or (node is not None and node.has_own_tag):
            return Setting(key, Unknown(f"{key} is not plain text"), span, file, origin, is_literal=False)
        if node is not None and is_no_text(node):
            return Setting(key, Unknown(f"{written(assigned, file)} is not text"), span, file, origin, is_literal=False)
        if "{{" not in text and "{%" not in text:
            return Setting(key, text, span, file, origin, assigned.is_literal)
        return self.resolved(Setting(key, Unknown(""), span, file, origin, is_literal=False), text, depth)

    def resolved(self, setting: Setting, text: str, depth: int = 0) -> Setting:
        """The setting whose value a text with expressions is."""
        whole = EXPRESSION.fullmatch(text.strip())
        if whole is not None and depth < _MAX_DEPTH:
            return self._expression(setting, whole, depth)
        parts, at = [], 0
        matches = list(EXPRESSION.finditer(text)) if depth < _MAX_DEPTH else []
        for match in matches if len(matches) <= _MOST_PARTS else ():
            part = self._expression(setting, match, depth + 1)
            if isinstance(part.value, Unknown):
                return _unlike(setting, part.value)
            parts += [text[at : match.start()], str(part.value)]
            at = match.end()
        value = "".join([*parts, text[at:]])
        unknown = Unknown(f"{excerpt(text)} is filled in by a template") if "{{" in value or "{%" in value else None
        return _unlike(setting, unknown or value)

    def _expression(self, setting: Setting, match: re.Match[str], depth: int) -> Setting:
        name = match["name"]
        default = next((match[group] for group in ("single", "double", "bare") if match[group] is not None), None)
        found = self.find(name)
        is_false = isinstance(found, Found) and match["if_false"] and found.node.value in (None, "", False, 0)
        if default is not None and (found is None or is_false):
            setting = _unlike(setting, default)
            setting.origin = f"the default of {name}"
            return setting
        if isinstance(found, Found) and found.node.is_scalar and not found.node.is_null:
            assigned = replace(of_node(setting.key, found.node), is_literal=False)
            return self.setting(setting.key, assigned, found.file, f"{name} in {found.file.path}", depth + 1)
        if isinstance(found, Found):
            found = Unknown(f"{name} in {found.file.path} is not text")
        return _unlike(setting, found or Unknown(f"{name} is set elsewhere"))


def filled(subject: Subject, scope: Scope) -> Subject:
    """The subject with what the scope says of the expressions in its values."""
    for key, setting in subject.settings.items():
        if isinstance(setting.value, Unknown) and "{{" in setting.written:
            new = scope.resolved(setting, setting.written.strip("'\""))
            new = sized(new) if key == MEMORY_LIMIT else new
            if new.is_known and key != GPU_COUNT:
                subject.settings[key] = new
    return subject


def is_no_text(node: Node) -> bool:
    """Whether a scalar is not text to Ansible, which reads YAML 1.1, though it looks like one."""
    return node.is_plain and (_NO_TEXT.fullmatch(node.text) is not None)


def _unlike(setting: Setting, value: object) -> Setting:
    """The setting with another value than the one that stands there."""
    return Setting(setting.key, value, setting.span, setting.file, setting.origin, is_literal=False)
