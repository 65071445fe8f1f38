"""A variable's type, and what Terraform makes of a value by it."""

from typing import Any

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.blocks import Expression, of_type, only_child
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.language.scope import Scope

_PRIMITIVES = {"string": values.to_text, "number": values.to_number, "bool": values.to_bool}


def convert(value: Any, wanted: Expression, scope: Scope, depth: int = 32) -> Any:
    """The value as the type constraint makes it: `"5"` for a `number` is 5, a missing `optional` gets its default."""
    if value is None or isinstance(value, Unknown):
        return value
    if depth == 0:
        return Unknown("a type that is nested too deeply to be worked out")
    inner = only_child(wanted.tree)
    if inner is None:
        return Unknown("a type that is not understood")
    if inner.type == "variable_expr":
        name = inner.text.decode("utf-8", "replace")
        if name in _PRIMITIVES:
            return _PRIMITIVES[name](value)
        return value if name == "any" else _collection(name, value, None, scope, depth)
    if inner.type != "function_call":
        return Unknown("a type that is not understood")
    name = inner.children[0].text.decode("utf-8", "replace")
    arguments = [each for box in of_type(inner, "function_arguments") for each in of_type(box, "expression")]
    if not arguments:
        return Unknown("a type that is not understood")
    first = Expression(wanted.file, arguments[0].start_byte, arguments[0].end_byte, arguments[0])
    return _collection(name, value, first, scope, depth)


def _collection(name: str, value: Any, inner: Expression | None, scope: Scope, depth: int) -> Any:
    def item(each: Any) -> Any:
        return each if inner is None else convert(each, inner, scope, depth - 1)

    if name in ("list", "set") and isinstance(value, list):
        found = [item(each) for each in value]
        if inner is None or inner.text == "any":
            found = values.unified(found)
        return values.to_set(found) if name == "set" else found
    if name == "map" and isinstance(value, dict):
        mapped = {key: item(each) for key, each in value.items()}
        return dict(zip(mapped, values.unified(list(mapped.values())), strict=True))
    if name == "object" and isinstance(value, dict) and inner is not None:
        return _object(value, inner, scope, depth)
    if name == "tuple" and isinstance(value, list) and inner is not None:
        kinds = inner.items() or []
        if len(kinds) == len(value):
            return [convert(each, kind, scope, depth - 1) for each, kind in zip(value, kinds, strict=True)]
    return values.Invalid(f"a {values.kind_of(value)} where the type is {name}")


def _object(value: dict[str, Any], wanted: Expression, scope: Scope, depth: int) -> Any:
    found = {}
    for key, kind in wanted.members() or []:
        name = key.text.strip('"')
        given, default = value.get(name), None
        arguments = _optional(kind)
        if arguments:
            kind = arguments[0]
            default = evaluate(arguments[1], scope) if len(arguments) > 1 else None
        elif name not in value:
            return values.Invalid(f"no attribute {name}")
        found[name] = convert(default if given is None else given, kind, scope, depth - 1)
    return found


def _optional(kind: Expression) -> list[Expression]:
    """The arguments of `optional(type, default)`."""
    inner = only_child(kind.tree)
    if inner is None or inner.type != "function_call" or inner.children[0].text != b"optional":
        return []
    nodes = [each for box in of_type(inner, "function_arguments") for each in of_type(box, "expression")]
    return [Expression(kind.file, node.start_byte, node.end_byte, node) for node in nodes]
