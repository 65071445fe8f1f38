"""What an expression is worth as far as reading can tell, by HCL's own rules; everything else is Unknown, with why.

Nothing is guessed: a function that is not pure, a file, a data source, what only an apply knows, and whatever is too
large or too deep to be worked out, are Unknown. Facts: HCL's specification (hclsyntax/spec.md) and `terraform console`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language import functions, values
from ollama_policy.sources.terraform.language.blocks import ABSENT, Expression, literal, of_type
from ollama_policy.sources.terraform.language.json_values import json_value
from ollama_policy.sources.terraform.language.operators import (
    COMPARE,
    LARGE,
    arithmetic,
    bounded,
    compared,
    element_of,
    member_of,
    pairs_of,
)
from ollama_policy.sources.terraform.language.scope import Scope
from ollama_policy.sources.terraform.language.templates import cut_line_end, outdent, parts_of, rendered
from ollama_policy.sources.terraform.language.values import Invalid

MAX_DEPTH: Final = 120
MAX_STEPS: Final = 100_000  # of one block

_DEEP: Final = Unknown("an expression that is nested too deeply to be worked out")


def work_out(expression: Expression, scope: Scope) -> Any:
    """The value of an expression that is not plainly written: for `scope.evaluate`."""
    if expression.is_json:
        return json_value(expression.node, scope, lambda template: _whole(template, scope, is_json=True))
    return _whole(expression, scope)


def _whole(expression: Expression, scope: Scope, *, is_json: bool = False) -> Any:
    value = _Evaluation(expression.file.data, scope, is_json=is_json).of(expression.tree)
    return Unknown("a resource as a whole") if hasattr(value, "instance") else value


class _Evaluation:
    """The walk down one expression's nodes."""

    __slots__ = ("data", "is_json", "scope", "work")

    def __init__(self, data: bytes, scope: Scope, *, is_json: bool = False) -> None:
        self.data = data
        self.scope = scope
        self.work = scope.work
        self.is_json = is_json  # a template that stands for one text of Terraform's JSON

    def of(self, node: Any) -> Any:
        """The value of a node of any kind of expression."""
        start, end = node.start_byte, node.end_byte
        found = literal(self.data, start, end) if start < end else ABSENT
        if found is not ABSENT:
            return found
        work = self.work
        work.steps += 1
        if work.steps > MAX_STEPS:
            return LARGE
        if work.depth > MAX_DEPTH:
            return _DEEP
        work.depth += 1
        try:
            return self._dispatch(node)
        finally:
            work.depth -= 1

    def _dispatch(self, node: Any) -> Any:
        return self._chain(node.children if node.type in _TRANSPARENT else [node])

    def _chain(self, nodes: list[Any]) -> Any:
        """The value of a first node and of the steps (`.a`, `[0]`) that follow it."""
        nodes = [node for node in nodes if node.type not in _SILENT]
        handler = _HANDLERS.get(nodes[0].type) if nodes else None
        if handler is None:
            return Unknown("an expression that is not understood")
        value = handler(self, nodes[0])
        return self._traverse(value, nodes[1:]) if len(nodes) > 1 or isinstance(value, _Root) else value

    # Literals and collections.

    def _number(self, node: Any) -> Any:
        text = self._text(node)
        try:
            return int(text) if text.isdecimal() and len(text) < 400 else values.plain_number(float(text))
        except (ValueError, OverflowError):
            return LARGE

    def _word(self, node: Any) -> Any:
        return {"true": True, "false": False}.get(self._text(node))

    def _tuple(self, node: Any) -> Any:
        return bounded([self._plain(child) for child in node.children if child.type == "expression"])

    def _object(self, node: Any) -> Any:
        found: dict[str, Any] = {}
        for element in of_type(node, "object_elem"):
            key, value = of_type(element, "expression")
            name = self._key(key)
            if not isinstance(name, str):
                return name
            found[name] = self._plain(value)
        return bounded(found)

    def _key(self, node: Any) -> Any:
        inner = node.children[0]
        if len(node.children) == 1 and inner.type == "variable_expr":
            return self._text(inner)
        name = values.to_text(self._plain(node))
        return Invalid("null as the key of a map") if name is None else name

    def _plain(self, node: Any) -> Any:
        value = self.of(node)
        return Unknown("a resource as a whole") if hasattr(value, "instance") else value

    # Operators.

    def _conditional(self, node: Any) -> Any:
        # The grammar takes `a ? b : c ? d : e` for `(a ? b : c) ? d : e`; HCL means `a ? b : (c ? d : e)`.
        parts: list[Any] = []
        while True:
            condition, yes, no = of_type(node, "expression")
            parts += [no, yes]
            if len(condition.children) != 1 or condition.children[0].type != "conditional":
                parts.append(condition)
                break
            node = condition.children[0]
        parts.reverse()
        result = self._plain(parts.pop())
        while parts:
            yes, condition = self._plain(parts.pop()), values.to_bool(self._plain(parts.pop()))
            if isinstance(condition, Unknown):
                result = condition
            elif condition is None:
                result = Invalid("null as a condition")
            else:
                result = values.one_type(yes, result) if condition else values.one_type(result, yes)
        return result

    def _unary(self, node: Any) -> Any:
        sign, operand = self._text(node.children[0]), self._operand(node.children[1:])
        if sign == "!":
            operand = values.to_bool(operand)
            return operand if isinstance(operand, Unknown) else Invalid("null") if operand is None else not operand
        operand = values.to_number(operand)
        return operand if isinstance(operand, Unknown) else Invalid("null") if operand is None else -operand

    def _operand(self, nodes: list[Any]) -> Any:
        value = self._chain(nodes)
        return Unknown("a resource as a whole") if hasattr(value, "instance") else value

    def _binary(self, node: Any) -> Any:
        at = next(index for index, child in enumerate(node.children) if child.type in _OPERATORS)
        name = node.children[at].type
        left, right = self._operand(node.children[:at]), self._operand(node.children[at + 1 :])
        if name in ("==", "!="):
            answer = values.same(left, right)
            return answer if isinstance(answer, Unknown) else answer == (name == "==")
        if name in ("&&", "||"):
            left, right = values.to_bool(left), values.to_bool(right)
            if isinstance(left, Invalid) or isinstance(right, Invalid):
                return left if isinstance(left, Invalid) else right
            decisive = name == "||"
            if left is decisive or right is decisive:
                return decisive
            for side in (left, right):
                if isinstance(side, Unknown):
                    return side
                if side is None:
                    return Invalid("null where true or false is needed")
            return not decisive
        return compared(name, left, right) if name in COMPARE else arithmetic(name, left, right)

    # References.

    def _variable(self, node: Any) -> Any:
        name = self._text(node)
        if name in self.scope.local:
            return self.scope.local[name]
        return _Root(name)

    def _traverse(self, value: Any, steps: list[Any]) -> Any:
        position = 0
        if isinstance(value, _Root):
            value, position = self._root(value.name, steps)
        for index in range(position, len(steps)):
            step = steps[index]
            if isinstance(value, Unknown):
                return value
            kind = step.type
            if kind == "get_attr":
                value = member_of(value, self._text(step.children[-1]))
            elif kind == "index":
                value = element_of(value, self._index_key(step))
            elif kind == "splat":
                value = self._splat(value, step.children[0])
            else:
                return Unknown("an expression that is not understood")
        return value

    def _index_key(self, step: Any) -> Any:
        inner = step.children[0]
        if inner.type == "legacy_index":
            digits = self._text(inner)[1:].strip()  # `a.0`, where white space may follow the dot
            return int(digits) if digits.isdecimal() and len(digits) < 18 else Unknown("an index that is not a number")
        key = of_type(inner, "expression")
        return self._plain(key[0]) if len(key) == 1 else Unknown("an index that is not understood")

    def _splat(self, value: Any, node: Any) -> Any:
        items = value if isinstance(value, list) else [] if value is None else [value]
        if hasattr(value, "instance"):
            return Unknown("all instances of a resource")
        steps = node.children[1:]
        inner = steps
        if node.type == "attr_splat":  # an index after `.*` is of the result
            inner = steps[: next((i for i, step in enumerate(steps) if step.type != "get_attr"), len(steps))]
        results = [self._traverse(item, inner) for item in items]
        return self._traverse(bounded(results), steps[len(inner) :])

    def _root(self, root: str, steps: list[Any]) -> tuple[Any, int]:
        """The value of a name and the attributes that belong to it, and how many of those."""
        path = []
        for step in steps[:2]:
            if step.type != "get_attr":
                break
            path.append(self._text(step.children[-1]))
        names = self.scope.names
        written = ".".join([root, *path])
        if root == "data":
            return Unknown(f"{written} is only known at apply"), 0
        if not path:
            return Unknown(f"{root} is not a value"), 0
        if root == "module":
            return names.module(path[0]), 1
        if root in ("var", "local"):
            return names.variable(path[0]) if root == "var" else names.local(path[0]), 1
        if root in ("each", "count"):
            return Unknown(f"{root}.{path[0]} outside of a block with {'count' if root == 'count' else 'for_each'}"), 0
        if root in ("path", "terraform", "self"):
            return Unknown(f"{root}.{path[0]} is only known when Terraform runs"), 0
        return names.resource(root, path[0]), 1

    # Calls and loops.

    def _call(self, node: Any) -> Any:
        name = self._text(node.children[0])
        boxes = of_type(node, "function_arguments")
        parts = [child for box in boxes for child in box.children if child.type in ("expression", "ellipsis")]
        nodes = [part for part in parts if part.type == "expression"]
        if name == "try":
            for each in nodes:
                if not isinstance(value := self._plain(each), Invalid):
                    return value
            return Invalid("try() without a value that works")
        if name == "can":
            value = self._plain(nodes[0]) if nodes else Unknown("can() without an argument")
            return False if isinstance(value, Invalid) else value if isinstance(value, Unknown) else True
        if name in ("sensitive", "nonsensitive") and len(nodes) == 1:
            return Unknown("a sensitive value") if name == "sensitive" else self._plain(nodes[0])
        arguments = [self._plain(each) for each in nodes]
        if parts and parts[-1].type == "ellipsis":
            last = arguments.pop()
            if not isinstance(last, list):
                return last if isinstance(last, Unknown) else Invalid("`...` after what is not a list")
            arguments += last
        self.work.steps += sum(len(each) for each in arguments if isinstance(each, str | list | dict)) // 8
        self.work.items += sum(len(each) for each in arguments if isinstance(each, list | dict))
        return bounded(functions.call(name, arguments))

    def _for_tuple(self, node: Any) -> Any:
        return self._for(node, is_object=False)

    def _for_object(self, node: Any) -> Any:
        return self._for(node, is_object=True)

    def _for(self, node: Any, *, is_object: bool) -> Any:
        intro = of_type(node, "for_intro")[0]
        names = [self._text(child) for child in of_type(intro, "identifier")]
        source = self._plain(of_type(intro, "expression")[0])
        pairs = pairs_of(source)
        if isinstance(pairs, Unknown):
            return pairs
        results = of_type(node, "expression")
        conditions = [of_type(each, "expression")[0] for each in of_type(node, "for_cond")]
        is_grouped = bool(of_type(node, "ellipsis"))
        listed: list[Any] = []
        mapped: dict[str, Any] = {}
        for key, value in pairs:
            self.work.steps += 1
            if self.work.steps > MAX_STEPS:
                return LARGE
            inner = self._with(names, key, value)
            if conditions:
                condition = values.to_bool(inner._plain(conditions[0]))
                if isinstance(condition, Unknown):
                    return condition
                if not condition:
                    continue
            if not is_object:
                listed.append(inner._plain(results[0]))
                continue
            name = values.to_text(inner._plain(results[0]))
            if not isinstance(name, str):
                return name if isinstance(name, Unknown) else Invalid("null as the key of a map")
            if name in mapped and not is_grouped:
                return Invalid("a key of a map twice")
            result = inner._plain(results[1])
            if is_grouped:
                mapped.setdefault(name, []).append(result)
            else:
                mapped[name] = result
        # Terraform orders a map by its keys.
        return bounded({name: mapped[name] for name in sorted(mapped)} if is_object else listed)

    def _with(self, names: list[str], key: Any, value: Any) -> "_Evaluation":
        local = {names[-1]: value} if len(names) == 1 else {names[0]: key, names[1]: value}
        return _Evaluation(self.data, self.scope.having(**local))

    # Templates.

    def _quoted(self, node: Any) -> Any:
        marks = [child for child in node.children if child.type in ("quoted_template_start", "quoted_template_end")]
        start, end = marks[0].end_byte, marks[-1].start_byte
        parts = parts_of(self.data, node, start, end, is_quoted=True)
        return rendered(parts, self._interpolated)

    def _heredoc(self, node: Any) -> Any:
        marks = of_type(node, "heredoc_identifier")
        start = self.data.find(b"\n", marks[0].end_byte) + 1
        end = self.data.rfind(b"\n", 0, marks[-1].start_byte) + 1
        parts = parts_of(self.data, node, start, end, is_quoted=False)
        if self.is_json:
            # Here the text was wrapped in a here-document of one line end more than it has.
            cut_line_end(parts)
        elif self._text(of_type(node, "heredoc_start")[0]) == "<<-":
            outdent(parts)
        return rendered(parts, self._interpolated)

    def _interpolated(self, mark: Any) -> Any:
        inner = of_type(mark, "expression")
        return self._plain(inner[0]) if len(inner) == 1 else Unknown("a template that is not understood")

    def _text(self, node: Any) -> str:
        return self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Root:
    """A name that is not a value by itself: `var`, `local`, a resource's type."""

    name: str


_TRANSPARENT: Final = frozenset(
    {"expression", "operation", "literal_value", "template_expr", "collection_value", "for_expr"}
)
_SILENT: Final = frozenset({"comment", "(", ")"})
_OPERATORS: Final = frozenset({"==", "!=", "&&", "||", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"})
_HANDLERS: Final[dict[str, Callable[[_Evaluation, Any], Any]]] = {
    "expression": _Evaluation.of,
    "operation": _Evaluation.of,
    "literal_value": _Evaluation.of,
    "template_expr": _Evaluation.of,
    "collection_value": _Evaluation.of,
    "for_expr": _Evaluation.of,
    "numeric_lit": _Evaluation._number,
    "bool_lit": _Evaluation._word,
    "null_lit": _Evaluation._word,
    "string_lit": _Evaluation._quoted,
    "quoted_template": _Evaluation._quoted,
    "heredoc_template": _Evaluation._heredoc,
    "tuple": _Evaluation._tuple,
    "object": _Evaluation._object,
    "conditional": _Evaluation._conditional,
    "unary_operation": _Evaluation._unary,
    "binary_operation": _Evaluation._binary,
    "variable_expr": _Evaluation._variable,
    "function_call": _Evaluation._call,
    "for_tuple_expr": _Evaluation._for_tuple,
    "for_object_expr": _Evaluation._for_object,
}
