"""A Python program's names, with what each may be bound to, and its calls, with the loops and tests around them."""

import ast
from dataclasses import dataclass, field
from typing import Any, Final

_READERS: Final = frozenset("get items keys values copy index count format join".split())
_SAFE_CALLS: Final = frozenset("dict list tuple set len sorted enumerate range zip print str repr isinstance".split())


@dataclass(eq=False, slots=True)
class Scope:
    """Where names are bound: the module, a function, a class's body, a comprehension."""

    parent: "Scope | None"
    is_class: bool = False
    names: "dict[str, list[Binding]]" = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)  # names that `global` and `nonlocal` give to another scope


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression and where its names are to be looked up."""

    node: ast.expr
    scope: Scope


@dataclass(eq=False, slots=True)
class Loop:
    """A `for`, of a statement or a comprehension. `is_whole`: every element reaches the end of the body."""

    over: Expression
    line: int
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """An `if` around a statement, and which way leads to it."""

    test: Expression
    is_met: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """One place that gives a name its value: an expression, or a loop's element (`path` into it), or an import."""

    value: Expression | None = None
    loop: Loop | None = None
    path: tuple[int, ...] = ()
    imported: str = ""
    why: str = ""


Where = tuple[Loop | Condition, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call, where its names are looked up, and the loops and conditions around it."""

    node: ast.Call
    scope: Scope
    where: Where


def root_of(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


class Names:
    """A module's names and calls, as its tree has them. Raises RecursionError on no input: its own walks are loops.

    `changed` are the names of containers that something may have changed.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope(None)
        self.calls: list[Call] = []
        self.classes: list[tuple[ast.ClassDef, Scope]] = []
        self.changed: set[str] = set()
        self._todo: list[tuple[ast.AST, Scope, Where]] = [(tree, self.module, ())]
        while self._todo:
            self._visit(*self._todo.pop())

    def _visit(self, node: ast.AST, scope: Scope, where: Where) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self._function(node, scope, where)
            case ast.ClassDef():
                self.classes.append((node, scope))
                self._bind(scope, node.name, Binding(why=f"{node.name} is a class"))
                self._later([*node.decorator_list, *node.bases, *node.keywords], scope, where)
                self._later(node.body, Scope(scope, is_class=True), where)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._comprehension(node, scope, where)
            case ast.For():
                loop = Loop(Expression(node.iter, scope), node.lineno)
                self._bind_target(node.target, scope, Binding(loop=loop))
                self._later([node.target, node.iter, *node.orelse], scope, where)
                self._later(node.body, scope, (*where, loop))
            case ast.If():
                test = Expression(node.test, scope)
                self._later([node.test], scope, where)
                self._later(node.body, scope, (*where, Condition(test, True)))
                self._later(node.orelse, scope, (*where, Condition(test, False)))
            case ast.Break() | ast.Continue():
                for around in reversed(where):
                    if isinstance(around, Loop):
                        around.is_whole = False
                        break
            case _:
                self._bindings(node, scope)
                if isinstance(node, ast.Call):
                    self.calls.append(Call(node, scope, where))
                    self._note_changes(node)
                self._later(ast.iter_child_nodes(node), scope, where)

    def _later(self, nodes: Any, scope: Scope, where: Where) -> None:
        self._todo.extend((node, scope, where) for node in nodes)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope, where: Where) -> None:
        given = node.args
        inner = Scope(scope)
        name = "a lambda" if isinstance(node, ast.Lambda) else f"{node.name}()"
        for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
            if argument is not None:
                self._bind(inner, argument.arg, Binding(why=f"{argument.arg} is an argument of {name}"))
        self._later([default for default in (*given.defaults, *given.kw_defaults) if default], scope, where)
        if isinstance(node, ast.Lambda):
            self._later([node.body], inner, ())
        else:
            self._bind(scope, node.name, Binding(why=f"{node.name} is a function"))
            self._later(node.decorator_list, scope, where)
            self._later(node.body, inner, ())

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, scope: Scope, where: Where
    ) -> None:
        inner, outer = Scope(scope), scope
        for generator in node.generators:
            loop = Loop(Expression(generator.iter, outer), node.lineno, not generator.ifs and not generator.is_async)
            self._bind_target(generator.target, inner, Binding(loop=loop))
            self._later([generator.iter], outer, where)
            where, outer = (*where, loop), inner
            self._later(generator.ifs, inner, where)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._later(results, inner, where)

    def _bindings(self, node: ast.AST, scope: Scope) -> None:
        match node:
            case ast.Assign():
                for target in node.targets:
                    self._bind_assigned(target, node.value, scope)
            case ast.AnnAssign(value=ast.expr() as value):
                self._bind_assigned(node.target, value, scope)
            case ast.NamedExpr():
                self._bind_assigned(node.target, node.value, scope)
            case ast.AugAssign():
                self._bind_target(node.target, scope, Binding(why=f"it is changed on line {node.lineno}"))
            case ast.Import():
                for alias in node.names:
                    dotted = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._bind(scope, alias.asname or dotted, Binding(imported=dotted))
            case ast.ImportFrom():
                module = "." * node.level + (node.module or "")
                for alias in node.names:
                    name = "OllamaModel" if alias.name == "*" and module.startswith("ollama_provider") else alias.name
                    self._bind(scope, alias.asname or name, Binding(imported=f"{module}.{name}"))
            case ast.Global() | ast.Nonlocal():
                for name in node.names:
                    scope.elsewhere.add(name)
                    owner = self.module if isinstance(node, ast.Global) or scope.parent is None else scope.parent
                    self._bind(owner, name, Binding(why=f"{name} is changed by a function"))
            case ast.withitem(optional_vars=ast.expr() as target):
                self._bind_target(target, scope, Binding(why="it is a context"))
            case ast.ExceptHandler(name=str(name)):
                self._bind(scope, name, Binding(why=f"{name} is an exception"))
            case ast.Delete():
                for target in node.targets:
                    self._bind_target(target, scope, Binding(why=f"it is deleted on line {node.lineno}"))
            case ast.AsyncFor():
                self._bind_target(node.target, scope, Binding(why=f"it changes in the loop on line {node.lineno}"))
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                self._bind(scope, name, Binding(why=f"{name} is matched"))

    def _bind(self, scope: Scope, name: str, binding: Binding) -> None:
        scope.names.setdefault(name, []).append(binding)

    def _bind_assigned(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        pairs = [(target, value)]
        while pairs:
            target, value = pairs.pop()
            if isinstance(target, ast.Name):
                self._bind(scope, target.id, Binding(Expression(value, scope)))
            elif (
                isinstance(target, ast.Tuple | ast.List)
                and isinstance(value, ast.Tuple | ast.List)
                and len(target.elts) == len(value.elts)
                and not any(isinstance(item, ast.Starred) for item in (*target.elts, *value.elts))
            ):
                pairs.extend(zip(target.elts, value.elts, strict=True))
            else:
                self._bind_target(target, scope, Binding(why=f"it is unpacked on line {target.lineno}"))

    def _bind_target(self, target: ast.expr, scope: Scope, binding: Binding) -> None:
        rest = [(target, binding.path)]
        while rest:
            target, path = rest.pop()
            match target:
                case ast.Name():
                    self._bind(scope, target.id, Binding(None, binding.loop, path, why=binding.why))
                case ast.Tuple() | ast.List():
                    has_star = any(isinstance(item, ast.Starred) for item in target.elts)
                    rest.extend((item, (*path, -1 if has_star else n)) for n, item in enumerate(target.elts))
                case ast.Starred():
                    rest.append((target.value, (*path, -1)))
                case ast.Subscript() | ast.Attribute():
                    self.changed.add(root_of(target))

    def _note_changes(self, call: ast.Call) -> None:
        if isinstance(call.func, ast.Attribute) and call.func.attr not in _READERS:
            self.changed.add(root_of(call.func.value))
        elif isinstance(call.func, ast.Name) and call.func.id not in _SAFE_CALLS:
            self.changed.update(argument.id for argument in call.args if isinstance(argument, ast.Name))


def last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def excerpt(node: ast.expr) -> str:
    try:
        text = ast.unparse(node)
    except RecursionError:
        return "it"
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
