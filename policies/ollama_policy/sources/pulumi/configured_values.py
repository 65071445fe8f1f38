"""What `pulumi.Config` hands to a Python program, as expressions that know where they are written.

Pulumi keeps every value as text, JSON where it is a list or a map, and the program reads that text as what it asks for
(pulumi/config.py).
"""

import ast
import json
import re
from functools import cached_property
from typing import Any, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Span, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.pulumi.configuration import Configuration, project_of, scalar
from ollama_policy.sources.pulumi.undecided import UndecidedError
from ollama_policy.sources.syntax.yaml_nodes import Node

_MAX_NESTING: Final = 20
_BOOLEANS: Final = {"true": True, "True": True, "false": False, "False": False}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")


class Place(NamedTuple):
    """Where a value is written."""

    file: SourceFile
    span: Span


class ConfiguredValues:
    """The configuration that a program's file reads. `places` are those of the expressions that were given out."""

    def __init__(self, file: SourceFile, tree: Tree) -> None:
        self._file = file
        self._tree = tree
        self.places: dict[ast.expr, Place] = {}
        self._known: dict[tuple[str, str, str], ast.expr | UndecidedError | None] = {}

    def expression(self, bag: str, name: str, kind: str, call: ast.Call) -> ast.expr | None:
        """As `python_values.Lookup`."""
        key = bag, name, kind
        if key not in self._known:
            try:
                self._known[key] = self._read(bag, name, kind, call)
            except UndecidedError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, UndecidedError):
            raise UndecidedError(str(found))
        return found

    @cached_property
    def _project(self) -> Configuration | None:
        return project_of(self._file, self._tree)

    def _read(self, bag: str, name: str, kind: str, call: ast.Call) -> ast.expr | None:
        if self._project is None or self._project.runtime != "python":
            raise UndecidedError(f"configuration value {name} is only known at deployment")
        found = self._project.value(name, bag)
        if found is None:
            return None
        if isinstance(found, Unknown):
            raise UndecidedError(found.reason)
        try:
            made = self._made(found.node, kind, found.file, call)
        except UnreadableError as error:
            raise UndecidedError(f"configuration value {name} cannot be read: {error}") from None
        if made is None:
            wanted = "an" if kind in ("int", "object") else "a"
            raise UndecidedError(
                f"configuration value {name} is {found.written}, which is not {wanted} {kind or 'text'}"
            )
        return made

    def _made(self, node: Node, kind: str, file: SourceFile, call: ast.Call) -> ast.expr | None:
        """The expression for a value; None where Pulumi does not take it as what is asked for."""
        place = Place(file, node.span)
        if kind == "object" and not node.is_scalar:
            return self._of_node(node, file, call, 0)
        if not node.is_scalar:
            return None
        scalar = _scalar(node)
        text = str(scalar).lower() if isinstance(scalar, bool) else str(scalar)
        value: Any = text
        if kind == "bool":
            value = _BOOLEANS.get(text)
        elif kind == "int":
            value = int(text) if _WHOLE.fullmatch(text) else None
        elif kind == "float":
            value = float(text) if _NUMBER.fullmatch(text) else None
        elif kind == "object":
            try:
                return self._of_json(json.loads(text), place, call, 0)
            except (ValueError, RecursionError):
                return None
        return None if value is None else self._placed(ast.Constant(value), place, call)

    def _of_node(self, node: Node, file: SourceFile, call: ast.Call, depth: int) -> ast.expr:
        made: ast.expr
        if depth > _MAX_NESTING:
            raise UndecidedError("it is nested too deeply")
        if node.is_sequence:
            made = ast.List([self._of_node(item, file, call, depth + 1) for item in node.items], ast.Load())
        elif node.is_mapping:
            members = node.members
            made = ast.Dict(
                [ast.copy_location(ast.Constant(key.text), call) for key, _ in members],
                [self._of_node(value, file, call, depth + 1) for _, value in members],
            )
        else:
            made = ast.Constant(_scalar(node))
        return self._placed(made, Place(file, node.span), call)

    def _of_json(self, value: Any, place: Place, call: ast.Call, depth: int) -> ast.expr:
        made: ast.expr
        if depth > _MAX_NESTING:
            raise UndecidedError("it is nested too deeply")
        if isinstance(value, list):
            made = ast.List([self._of_json(item, place, call, depth + 1) for item in value], ast.Load())
        elif isinstance(value, dict):
            made = ast.Dict(
                [ast.copy_location(ast.Constant(key), call) for key in value],
                [self._of_json(item, place, call, depth + 1) for item in value.values()],
            )
        else:
            made = ast.Constant(value)
        return self._placed(made, place, call)

    def _placed(self, made: ast.expr, place: Place, call: ast.Call) -> ast.expr:
        self.places[made] = place
        return ast.copy_location(made, call)


def _scalar(node: Node) -> Any:
    found = scalar(node)
    if isinstance(found, Unknown):
        raise UndecidedError(found.reason)
    return found
