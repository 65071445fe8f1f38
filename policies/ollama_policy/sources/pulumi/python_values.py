"""What a Python program's expressions stand for, as far as its text alone says. Nothing is imported or run.

    program = Program(ast.parse(text))
    for run in program.runs(call.where):  # each round of the loops around it
        program.value(Expression(call.node.args[0], call.scope), run)

Decided are literals and what is made of them: names that are bound once, elements of literal lists and dicts,
f-strings, conditionals over known tests, loops over literals. All else is an UndecidedError, with the reason.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ollama_policy.model.declaration_table import CHOICES
from ollama_policy.sources.pulumi.python_names import (
    Binding,
    Condition,
    Expression,
    Loop,
    Names,
    Scope,
    Where,
    excerpt,
    last_name,
)
from ollama_policy.sources.pulumi.python_operators import MAX_WHOLE, combined, compared, short, shown_text
from ollama_policy.sources.pulumi.undecided import UndecidedError

_MAX_STEPS: Final = 200_000
_MAX_DEPTH: Final = 60
_MAX_RUNS: Final = 256
_CONFIGURATIONS: Final = frozenset(("pulumi.Config", "pulumi.config.Config"))
_OF_CONFIGURATION: Final = frozenset(
    f"{how}{kind}" for how in ("get", "require") for kind in ("", "_bool", "_int", "_float", "_object")
)
_ENUMERATIONS: Final = {"".join(map(str.capitalize, name.split("_"))): choices for name, choices in CHOICES.items()}


Lookup = Callable[[str, str, str, ast.Call], ast.expr | None]
"""What a value of `pulumi.Config` is: its bag (empty for the project's own), its name, what it is read as (`int`; empty
for text) and the call. None: it is not set. Raises UndecidedError."""

Run = Mapping[Loop, Expression]


class Program:
    """A module's names and calls. Raises RecursionError on no input: its own walks are loops."""

    def __init__(self, tree: ast.Module, configured: Lookup | None = None) -> None:
        names = Names(tree)
        self.module, self.classes = names.module, names.classes
        self.calls = sorted(names.calls, key=lambda call: (call.node.lineno, call.node.col_offset))
        self._changed = names.changed
        self._configured = configured
        self._steps = 0
        self._members: dict[ast.Dict, dict[Any, ast.expr]] = {}  # many look into one dict

    # Names.

    def _bound(self, name: str, scope: Scope) -> list[Binding]:
        at: Scope | None = scope
        while at is not None:
            if name in at.names and name not in at.elsewhere and (at is scope or not at.is_class):
                return at.names[name]
            at = at.parent
        return []

    def dotted(self, node: ast.expr, scope: Scope) -> str:
        """The full name of an imported thing, through aliases: `ollama_provider.OllamaModel`; empty for all else."""
        attributes: list[str] = []
        for _ in range(_MAX_DEPTH):
            if isinstance(node, ast.Attribute):
                attributes.append(node.attr)
                node = node.value
                continue
            if not isinstance(node, ast.Name):
                return ""
            bound = self._bound(node.id, scope)
            if imports := {binding.imported for binding in bound if binding.imported}:
                # After `except ImportError: Model = None` it is still the import; after two of them it is neither.
                return ".".join((imports.pop(), *reversed(attributes))) if len(imports) == 1 else ""
            if len(bound) != 1 or bound[0].value is None:
                return ""
            node, scope = bound[0].value.node, bound[0].value.scope
        return ""

    # Values.

    def runs(self, where: Where) -> list[Run]:
        """Each way through the loops and conditions around a call; a loop that is not known is gone through once."""
        runs: list[Run] = [{}]
        for around in where:
            if isinstance(around, Condition):
                runs = [run for run in runs if self._may_be(around, run)]
                continue
            longer: list[Run] = []
            for run in runs:
                try:
                    elements = self._elements(around.over, run, 0) if around.is_whole else None
                except UndecidedError:
                    elements = None
                longer.extend([run] if elements is None else [{**run, around: element} for element in elements])
                if len(longer) > _MAX_RUNS:
                    break
            runs = longer if len(longer) <= _MAX_RUNS else runs
        return runs

    def _may_be(self, condition: Condition, run: Run) -> bool:
        try:
            return bool(self.value(condition.test, run)) is condition.is_met
        except UndecidedError:
            return True

    def value(self, expression: Expression, run: Run, depth: int = 0) -> Any:
        """The value: text, number, boolean, None, list or dict. Raises UndecidedError."""
        if depth > _MAX_DEPTH:
            raise UndecidedError("it is nested too deeply")
        terminal = self.follow(expression, run, depth)
        node, scope = terminal.node, terminal.scope

        def part(of: ast.expr) -> Any:
            return self.value(Expression(of, scope), run, depth + 1)

        match node:
            case ast.Constant(value=int() as number) if abs(number) >= MAX_WHOLE:
                raise UndecidedError("it is too large a number")
            case ast.Constant(value=str() | int() | float() | None as constant):
                return constant
            case ast.JoinedStr():
                return short("".join(shown_text(item, part) for item in node.values))
            case ast.List() | ast.Tuple() | ast.Set():
                return [part(item) for item in self._items(node)]
            case ast.Dict():
                return {str(part(key)): part(item) for key, item in self._entries(node)}
            case ast.UnaryOp(op=ast.Not()):
                return not part(node.operand)
            case ast.UnaryOp(op=ast.USub()) if isinstance(number := part(node.operand), int | float):
                return -number
            case ast.BinOp():
                return combined(node.op, part(node.left), part(node.right))
            case ast.Compare(ops=[operator], comparators=[right]):
                return compared(operator, part(node.left), part(right))
            case ast.Call(func=ast.Attribute(attr="lower" | "upper" | "strip" as method), args=[], keywords=[]):
                if isinstance(text := part(node.func.value), str):  # type: ignore[attr-defined]  # matched above
                    return getattr(text, method)()
            case ast.Call(func=ast.Name(id="str"), args=[argument], keywords=[]):
                if isinstance(given := part(argument), str | int):
                    return str(given)
        raise UndecidedError(self._why(terminal, run, depth))

    def follow(self, expression: Expression, run: Run, depth: int = 0) -> Expression:
        """The expression that a name, an element or a conditional stands for in the end. Raises UndecidedError."""
        names: list[str] = []
        while True:
            self._steps += 1
            if self._steps > _MAX_STEPS or len(names) > _MAX_DEPTH or depth > _MAX_DEPTH:
                raise UndecidedError("it takes too long to evaluate")
            further = self._step(expression, run, depth + 1)
            if further is None:
                break
            if isinstance(expression.node, ast.Name):
                names.append(expression.node.id)
            expression = further
        if isinstance(expression.node, ast.Dict | ast.List | ast.Set) and (
            changed := self._changed.intersection(names)
        ):
            raise UndecidedError(f"{min(changed)} may be changed after it is written")
        return expression

    def _step(self, expression: Expression, run: Run, depth: int) -> Expression | None:
        node, scope = expression.node, expression.scope
        match node:
            case ast.Name():
                return self._of_name(node.id, scope, run, depth)
            case ast.NamedExpr():
                return Expression(node.value, scope)
            case ast.IfExp():
                test = self.value(Expression(node.test, scope), run, depth)
                return Expression(node.body if test else node.orelse, scope)
            case ast.BoolOp():
                return self._of_choice(node, scope, run, depth)
            case ast.Subscript():
                box = self.follow(Expression(node.value, scope), run, depth)
                if isinstance(box.node, ast.Dict | ast.List | ast.Tuple):
                    return self._element(box, self.value(Expression(node.slice, scope), run, depth))
            case ast.Call(func=ast.Attribute(attr=str(method), value=of), args=[key, *_]) if (
                method in _OF_CONFIGURATION and (bag := self._bag(Expression(of, scope), run, depth)) is not None
            ):
                return self._of_configuration(node, bag, self.value(Expression(key, scope), run, depth), scope)
            case ast.Call(func=ast.Attribute(attr="get", value=of), args=[key, *rest], keywords=[]) if len(rest) <= 1:
                return self._of_get(Expression(of, scope), Expression(key, scope), rest, run, depth)
            case ast.Attribute():
                name = self.dotted(node.value, scope)
                members = _ENUMERATIONS.get(name.rpartition(".")[2]) if name.startswith("ollama_provider.") else None
                if members and node.attr.lower() in members and node.attr.isupper():
                    return Expression(ast.copy_location(ast.Constant(node.attr.lower()), node), scope)
        return None

    def _of_name(self, name: str, scope: Scope, run: Run, depth: int) -> Expression:
        bound = self._bound(name, scope)
        if len(bound) > 1 and all(binding.loop for binding in bound):
            # Loops after each other like to share a name: here it is that of the loop around.
            bound = [binding for binding in bound if binding.loop in run] or bound
        if len(bound) > 1:
            raise UndecidedError(f"{name} is given a value in {len(bound)} places")
        if not bound:
            raise UndecidedError(f"{name} is not defined in this file")
        binding = bound[0]
        if binding.value is not None:
            return binding.value
        if binding.loop is None:
            raise UndecidedError(
                f"{name} comes from {binding.imported.rpartition('.')[0]}" if binding.imported else binding.why
            )
        if (element := run.get(binding.loop)) is None:
            self._look_for_configuration(binding.loop, run, depth)
            raise UndecidedError(f"{name} changes in the loop on line {binding.loop.line}")
        for index in binding.path:
            element = self.follow(element, run, depth)
            if not isinstance(element.node, ast.Tuple | ast.List) or index < 0:
                raise UndecidedError(f"{name} is unpacked in the loop on line {binding.loop.line}")
            element = self._element(element, index)
        return element

    def _look_for_configuration(self, loop: Loop, run: Run, depth: int) -> None:
        """Raises UndecidedError where a configuration value is why a loop is not known: that one can be fixed."""
        try:
            self._elements(loop.over, run, depth)
        except UndecidedError as error:
            if str(error).startswith("configuration value "):
                raise

    def _of_choice(self, node: ast.BoolOp, scope: Scope, run: Run, depth: int) -> Expression:
        is_or = isinstance(node.op, ast.Or)
        for number, operand in enumerate(node.values[:-1], start=1):
            try:
                value = self.value(Expression(operand, scope), run, depth)
            except UndecidedError as error:
                try:
                    otherwise = self.value(Expression(node.values[number], scope), run, depth)
                except UndecidedError:
                    raise error from None
                raise UndecidedError(f"{error} ({'otherwise' if is_or else 'then'} {otherwise!r:.60})") from None
            if bool(value) is is_or:
                return Expression(operand, scope)
        return Expression(node.values[-1], scope)

    def _of_get(
        self, box: Expression, key: Expression, default: list[ast.expr], run: Run, depth: int
    ) -> Expression | None:
        try:
            box = self.follow(box, run, depth)
        except UndecidedError:
            return None  # the call as a whole says more than its receiver
        if not isinstance(box.node, ast.Dict):
            return None
        name = self.value(key, run, depth)
        member = self._member(box.node, name)
        if member is not None:
            return Expression(member, box.scope)
        return Expression(default[0] if default else ast.copy_location(ast.Constant(None), key.node), key.scope)

    def _bag(self, holder: Expression, run: Run, depth: int) -> str | None:
        """The name of what should be a `pulumi.Config`, empty for the project's own; None where it is none of these."""
        if self._configured is None:
            return None
        try:
            call = self.follow(holder, run, depth)
            if not isinstance(call.node, ast.Call) or self.dotted(call.node.func, call.scope) not in _CONFIGURATIONS:
                return None
            names = [*call.node.args, *(keyword.value for keyword in call.node.keywords if keyword.arg == "name")]
            name = self.value(Expression(names[0], call.scope), run, depth) if names else None
        except UndecidedError:
            return None
        return name or "" if isinstance(name, str | None) else None

    def _of_configuration(self, node: ast.Call, bag: str, name: Any, scope: Scope) -> Expression | None:
        assert self._configured is not None  # or there would be no bag
        assert isinstance(node.func, ast.Attribute)
        how, _, kind = node.func.attr.partition("_")
        found = self._configured(bag, name, kind, node) if isinstance(name, str) else None
        if found is None:
            default = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "default")]
            if how == "require" or not isinstance(name, str):
                return None
            found = default[0] if default else ast.copy_location(ast.Constant(None), node)
        return Expression(found, scope)

    def _element(self, box: Expression, key: Any) -> Expression:
        if isinstance(box.node, ast.Dict):
            member = self._member(box.node, key)
            if member is not None:
                return Expression(member, box.scope)
        elif isinstance(box.node, ast.List | ast.Tuple) and isinstance(key, int):
            items = self._items(box.node)
            if -len(items) <= key < len(items):
                return Expression(items[key], box.scope)
        raise UndecidedError(f"there is no {key!r:.60} in what is written on line {box.node.lineno}")

    def _member(self, node: ast.Dict, key: Any) -> ast.expr | None:
        """What a dict has for a key, the last where it is repeated."""
        if node not in self._members:
            entries = self._entries(node)
            self._members[node] = {at.value: item for at, item in entries if isinstance(at, ast.Constant)}
        return None if isinstance(key, list | dict) else self._members[node].get(key)

    def _items(self, node: ast.List | ast.Tuple | ast.Set) -> list[ast.expr]:
        if any(isinstance(item, ast.Starred) for item in node.elts):
            raise UndecidedError(f"a list is unpacked on line {node.lineno}")
        return node.elts

    def _entries(self, node: ast.Dict) -> list[tuple[ast.expr, ast.expr]]:
        entries: list[tuple[ast.expr, ast.expr]] = []
        for key, item in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant):
                raise UndecidedError(f"the keys of the dict on line {node.lineno} are not all literals")
            entries.append((key, item))
        return entries

    def entries(self, expression: Expression, run: Run) -> Iterator[tuple[str, Expression]]:
        """The members of what should be a literal dict, for `**`. Raises UndecidedError."""
        box = self.follow(expression, run)
        if not isinstance(box.node, ast.Dict):
            raise UndecidedError(self._why(box, run, 0))
        for key, item in self._entries(box.node):
            yield str(key.value if isinstance(key, ast.Constant) else ""), Expression(item, box.scope)

    def _elements(self, expression: Expression, run: Run, depth: int) -> list[Expression]:
        box = self.follow(expression, run, depth + 1)
        node, scope = box.node, box.scope
        match node:
            case ast.List() | ast.Tuple() | ast.Set():
                return [Expression(item, scope) for item in self._items(node)]
            case ast.Dict():
                return [Expression(key, scope) for key, _ in self._entries(node)]
            case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "sorted" | "reversed"), args=[of], keywords=[]):
                return self._elements(Expression(of, scope), run, depth + 1)
            case ast.Call(func=ast.Name(id="enumerate"), args=[of, *_], keywords=_):
                is_plain = len(node.args) == 1 and not node.keywords
                numbers = range(_MAX_RUNS) if is_plain else self._counted(node, scope, run, depth)
                elements = self._elements(Expression(of, scope), run, depth + 1)[: len(numbers)]
                return [
                    Expression(_pair(ast.Constant(number), element.node), element.scope)
                    for number, element in zip(numbers, elements, strict=False)
                ]
            case ast.Call(func=ast.Name(id="range"), args=[ast.expr() as end], keywords=[]):
                count = self.value(Expression(end, scope), run, depth + 1)
                if isinstance(count, int) and count <= _MAX_RUNS:
                    return [Expression(ast.copy_location(ast.Constant(n), end), scope) for n in range(count)]
            case ast.Call(func=ast.Attribute(attr="items" | "keys" | "values" as part, value=of), args=[], keywords=[]):
                of_what = self.follow(Expression(of, scope), run, depth + 1)
                if isinstance(of_what.node, ast.Dict):
                    entries = self._entries(of_what.node)
                    chosen = [k if part == "keys" else v if part == "values" else _pair(k, v) for k, v in entries]
                    return [Expression(item, of_what.scope) for item in chosen]
        raise UndecidedError(self._why(box, run, depth))

    def _counted(self, node: ast.Call, scope: Scope, run: Run, depth: int) -> range:
        given = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "start")]
        start = self.value(Expression(given[0], scope), run, depth + 1) if len(given) == 1 else None
        if not isinstance(start, int):
            raise UndecidedError("enumerate begins at a number that is not known")
        return range(start, start + _MAX_RUNS)

    def _why(self, expression: Expression, run: Run, depth: int) -> str:
        """Why an expression that cannot be followed further has no known value."""
        node, scope = expression.node, expression.scope
        of, key = None, None
        if isinstance(node, ast.Call):
            of, key = node.func, node.args[0] if node.args else None
        elif isinstance(node, ast.Subscript):
            of, key = node.value, node.slice
        name = key.value if isinstance(key, ast.Constant) else None
        if of is not None and isinstance(name, str):
            dotted = self.dotted(of, scope)
            if dotted in ("os.environ", "os.environ.get", "os.getenv"):
                return f"environment variable {name} is only known at deployment"
            if isinstance(of, ast.Attribute) and of.attr.startswith(("get", "require")) and depth < _MAX_DEPTH:
                try:
                    holder = self.follow(Expression(of.value, scope), run, depth + 1).node
                except UndecidedError:
                    holder = of.value
                if isinstance(holder, ast.Call) and last_name(holder.func) == "Config":
                    return f"configuration value {name} is only known at deployment"
        return f"{excerpt(node)} is only known when the program runs"


def _pair(first: ast.expr, second: ast.expr) -> ast.expr:
    if not hasattr(first, "lineno"):
        ast.copy_location(first, second)
    return ast.copy_location(ast.Tuple([first, second]), second)
