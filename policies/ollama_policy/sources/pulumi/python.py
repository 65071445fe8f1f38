"""Pulumi programs in Python: calls of `OllamaModel`, by the syntax tree. The program is never run or imported."""

import ast
import json
import posixpath
import re
import warnings
from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Insertion, Kind, Setting, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.pulumi.configured_values import ConfiguredValues
from ollama_policy.sources.pulumi.python_names import Call, Expression
from ollama_policy.sources.pulumi.python_values import Program, Run
from ollama_policy.sources.pulumi.undecided import UndecidedError

CLASSES: Final = frozenset(
    (
        "ollama_provider.OllamaModel",
        "ollama_provider.pulumi_dynamic.OllamaModel",
        # The package that Pulumi generates of our Terraform provider.
        "pulumi_ollama.Model",
        "pulumi_ollama.model.Model",
    )
)
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_REST_OF_LINE: Final = re.compile(rb"[ \t]*,[ \t]*(#[^\r\n]*)?(?=\r|\n)")
_COMMENT: Final = re.compile(rb"[ \t]*#")


class PulumiPython:
    """`OllamaModel("chat", name="llama3", memory_management="manual")`, one subject a call and round of its loops."""

    name = "pulumi-python"

    def accepts(self, file: SourceFile) -> bool:
        # Other packages have classes of these names too.
        is_ours = b"OllamaModel" in file.data and b"ollama_provider" in file.data
        return file.path.endswith(".py") and (is_ours or b"pulumi_ollama" in file.data)

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        try:
            yield from _Reader(file, tree).subjects()
        except RecursionError:
            raise UnreadableError(0, "expressions nested too deeply") from None


def address_of(resource_name: str) -> str:
    """How a resource is called in findings: `OllamaModel("chat")`."""
    return f"OllamaModel({json.dumps(resource_name, ensure_ascii=False)})"


class _Reader:
    def __init__(self, file: SourceFile, tree: Tree) -> None:
        self._file = file
        self._configured = ConfiguredValues(file, tree)
        mark = 3 if file.data.startswith(b"\xef\xbb\xbf") else 0
        self._lines = [mark, *(end.end() for end in _LINE_END.finditer(file.data, mark))]
        self._program = Program(self._parsed(), self._configured.expression)

    def _parsed(self) -> ast.Module:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an unknown escape in a text is not ours to report
                return ast.parse(self._file.text)
        except UnicodeDecodeError as error:
            raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
        except SyntaxError as error:
            line = min(max(error.lineno or 1, 1), len(self._lines))
            raise UnreadableError(
                self._file.offset(self._file.position(self._lines[line - 1]).line, max(error.offset or 1, 1)),
                f"no Python: {error.msg}",
            ) from None
        except (ValueError, MemoryError) as error:  # a NUL character; nesting that the parser refuses
            raise UnreadableError(0, f"no Python: {str(error) or 'nested too deeply'}") from None

    def subjects(self) -> Iterator[Subject]:
        for call in self._program.calls:
            callee = self._program.dotted(call.node.func, call.scope)
            if callee in CLASSES:
                yield from self._declared(call)
            elif callee == "functools.partial" and call.node.args:
                yield from self._passed_on(call.node.args[0], call, "what the partial is called with is not followed")
        for node, scope in self._program.classes:
            if any(self._program.dotted(base, scope) in CLASSES for base in node.bases):
                reason = f"{node.name} extends it, and what it is called with is not followed"
                yield self._empty(f"class {node.name}", node.bases[0], Unknown(reason))

    def _passed_on(self, node: ast.expr, call: Call, reason: str) -> Iterator[Subject]:
        if self._program.dotted(node, call.scope) in CLASSES:
            yield self._empty(_one_line(ast.unparse(call.node)), node, Unknown(reason))

    def _empty(self, address: str, node: ast.expr, unknown: Unknown | None) -> Subject:
        unit = posixpath.dirname(self._file.path)
        return Subject(Kind.MODEL, address, self._file, self._span(node), Style.PYTHON, unknown=unknown, unit=unit)

    def _declared(self, call: Call) -> Iterator[Subject]:
        subjects = [self._subject(call, run) for run in self._program.runs(call.where)]
        if len({_judged(subject) for subject in subjects}) > 1:
            # A literal that several rounds of a loop share is right for one and wrong for another.
            for subject in subjects:
                subject.insertion = None
                for setting in subject.settings.values():
                    setting.is_literal = False
        yield from subjects

    def _subject(self, call: Call, run: Run) -> Subject:
        node = call.node
        unknown: Unknown | None = None
        name: ast.expr | None = node.args[0] if node.args else None
        if isinstance(name, ast.Starred):
            unknown = Unknown(f"the arguments {_one_line(ast.unparse(name))} are not followed")
            name = None
        given: list[tuple[str, Expression]] = []
        for keyword in node.keywords:
            expression = Expression(keyword.value, call.scope)
            if keyword.arg == "resource_name":
                name = keyword.value
            elif keyword.arg is not None:
                if keyword.arg != "opts":
                    given.append((keyword.arg, expression))
            else:
                try:
                    given.extend(self._program.entries(expression, run))
                except UndecidedError as error:
                    unknown = Unknown(f"**{_one_line(ast.unparse(keyword.value))} is not known: {error}")
        subject = self._empty(self._address(name, call, run), node.func, unknown)
        own = {id(keyword.value) for keyword in node.keywords}
        for key, expression in given:
            subject.add(self._setting(key, expression, id(expression.node) in own, run))
        if unknown is None:
            subject.insertion = self._insertion(node)
        return subject

    def _address(self, name: ast.expr | None, call: Call, run: Run) -> str:
        if name is None:
            return "OllamaModel(...)"
        try:
            value = self._program.value(Expression(name, call.scope), run)
        except UndecidedError:
            value = None
        return address_of(value) if isinstance(value, str) else f"OllamaModel({_one_line(ast.unparse(name))})"

    def _setting(self, key: str, expression: Expression, is_own: bool, run: Run) -> Setting:
        value: Any
        at = expression.node
        try:
            value = self._program.value(expression, run)
            end = self._program.follow(expression, run).node
            if end is not at and hasattr(end, "lineno"):
                at = end
        except UndecidedError as error:
            value = Unknown(str(error))
        origin = "" if is_own and at is expression.node else _one_line(ast.unparse(expression.node))
        if (place := self._configured.places.get(at)) is not None:
            return Setting(key, value, place.span, place.file, origin, is_literal=False)
        span = self._span(at)
        is_prefixed = isinstance(value, str) and self._file.data[span.start : span.start + 1] not in (b'"', b"'")
        is_plain = isinstance(at, ast.Constant) and not is_prefixed
        return Setting(key, value, span, self._file, origin, is_own and is_plain and at is expression.node)

    def _insertion(self, call: ast.Call) -> Insertion | None:
        """After `memory_management`, or the last keyword, in the way that the call is laid out."""
        keywords = [keyword for keyword in call.keywords if keyword.arg]
        if not keywords:
            return None
        data = self._file.data
        anchor = next((keyword for keyword in keywords if keyword.arg == "memory_management"), keywords[-1])
        start, end = self._offset(anchor.lineno, anchor.col_offset), self._end(anchor)
        line = self._lines[anchor.lineno - 1]
        indent = data[line:start]
        if indent.strip():
            return Insertion(end, ", ", "=", "")
        crlf = data[line - 2 : line]  # of the line before, which there is: the call began on it
        new_line = (crlf if crlf == b"\r\n" else data[line - 1 : line]).decode() + indent.decode()
        if rest := _REST_OF_LINE.match(data, end):
            return Insertion(rest.end(), new_line, "=", ",")
        if _COMMENT.match(data, end):
            return Insertion(start, "", "=", "," + new_line)
        return Insertion(end, "," + new_line, "=", "")

    def _offset(self, line: int, column: int) -> int:
        return self._lines[line - 1] + column

    def _end(self, node: ast.expr | ast.keyword) -> int:
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)

    def _span(self, node: ast.expr) -> Span:
        return Span(self._offset(node.lineno, node.col_offset), self._end(node))


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


def _judged(subject: Subject) -> str:
    return repr({key: setting.value for key, setting in sorted(subject.settings.items()) if key != "name"})
