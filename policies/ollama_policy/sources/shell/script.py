"""A shell script as far as it can be known by reading: its commands as words, and what its variables are where."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Setting, SourceFile, Span, Unknown
from ollama_policy.sources.common.budget import Budget
from ollama_policy.sources.common.environment import Lookup, value_of
from ollama_policy.sources.syntax import grammars
from ollama_policy.sources.syntax.placed_text import PlacedText, Word, split_words

if TYPE_CHECKING:
    from tree_sitter import Node

Branch = tuple[int, ...]
"""The conditions, loops, functions and subshells around a command, outermost first: it runs only where they do."""

MAX_DEPTH: Final = 200
_BRANCHES: Final = frozenset(
    "case_item while_statement for_statement c_style_for_statement function_definition subshell elif_clause else_clause"
    " command_substitution process_substitution".split()
)
_NAMING: Final = ("declaration_command", "unset_command")
_PLAIN: Final = re.compile(rb"""[^\s"'\\{]+""")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Change:
    """A variable is given a value, is exported (`is_exported`), or goes (`setting` is None and it is not exported)."""

    name: str
    at: int
    branch: Branch
    setting: Setting | None
    is_exported: bool


@dataclass(frozen=True, slots=True)
class Sourced:
    """`. file`: what it sets is exported where all is (`set -a`)."""

    path: str
    at: int
    branch: Branch
    exports_all: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A here-document's body. With a quoted delimiter it is text as it stands."""

    body: PlacedText
    is_quoted: bool
    head: str  # what stands before the body: the command and where it writes


@dataclass(frozen=True, slots=True)
class Command:
    """A command's words, the assignments before it among them (`prefix`)."""

    words: list[Word]
    prefix: list[Word]
    span: Span
    branch: Branch
    document: Document | None


@dataclass(slots=True)
class Script:
    """What a script holds, each in the order of the text."""

    file: SourceFile
    commands: list[Command] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    sourced: list[Sourced] = field(default_factory=list)
    errors: list[Span] = field(default_factory=list)  # text that the grammar made nothing of
    values: dict[str, list[Change]] = field(default_factory=dict)  # of the changes, those that give a value
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(len(self.file.data), "many commands, each with many variables or files")

    def note(self, change: Change) -> None:
        self.changes.append(change)
        if change.setting is not None:
            self.values.setdefault(change.name, []).append(change)

    def lookup(self, at: int, branch: Branch) -> Lookup:
        """What a name means at a place: known where it is set once in the script, before, and surely.

        Where the script may have set it otherwise, a default that a reference has does not count either.
        """

        def find(name: str) -> Setting | Unknown:
            found = self.values.get(name, [])
            if not found or found[0].at >= at:
                return Unknown(f"${name} is set elsewhere")
            setting = found[0].setting
            assert setting is not None
            if len(found) == 1 and found[0].branch == branch[: len(found[0].branch)]:
                return setting
            why = Unknown(f"${name} is set more than once" if len(found) > 1 else "a condition decides on it")
            return Setting(name, why, setting.span, setting.file, is_literal=False)

        return find

    def environment(self, at: int, branch: Branch) -> dict[str, Setting]:
        """The variables that a command at a place is given; Unknown where a condition decides.

        Raises TooLargeError where many commands ask for many variables.
        """
        values: dict[str, Setting] = {}
        exported: set[str] = set()
        for change in self.changes:
            if change.at >= at:
                break
            self.budget.spend(1, at)
            is_certain = change.branch == branch[: len(change.branch)]
            if change.is_exported:
                exported.add(change.name)
            elif change.setting is None and is_certain:
                exported.discard(change.name)
            if change.setting is not None or not change.is_exported:
                setting = change.setting or values.get(change.name)
                if is_certain and change.setting is not None:
                    values[change.name] = change.setting
                elif is_certain:
                    values.pop(change.name, None)
                elif setting is not None:
                    why = Unknown("a condition decides on it")
                    values[change.name] = Setting(change.name, why, setting.span, setting.file, is_literal=False)
        return {name: setting for name, setting in values.items() if name in exported}


def words_of(text: PlacedText) -> list[Word]:
    """The words of a text without commands in it, references left as they are."""
    return split_words(text, _escape)


def _escape(data: bytes, at: int, quote: bytes) -> tuple[bytes, int]:
    following = data[at + 1 : at + 2]
    if quote == b"'" or not following or (quote and following not in b'$`"\\\n'):
        return data[at : at + 1], 1
    return (b"" if following == b"\n" else following), 2


def read_script(text: PlacedText, file: SourceFile) -> Script:
    """Reads Bash, and by it most of what POSIX shells and zsh are written in.

    Raises UnreadableError where it is nested deeper than MAX_DEPTH or takes too long to parse.
    """
    try:
        root = grammars.parse("bash", text.data)
    except UnreadableError as error:
        error.offset = text.cut(error.offset).place
        raise
    script = Script(file)
    exports_all = False
    for node, branch, document, outer in _walk(root, text):
        match node.type:
            case "command":
                command = _command(node, branch, document, text)
                if command.words:
                    exports_all = _changes_of(command, script, exports_all)
                    script.commands.append(command)
            case "variable_assignment" if outer.kind != "command":
                is_exported = outer.keyword == "export" or exports_all
                _assign(text.cut(node.start_byte, node.end_byte), branch, script, is_exported)
            case "variable_name" if outer.kind in _NAMING:
                name = text.cut(node.start_byte, node.end_byte)
                if outer.keyword in ("export", "unset"):
                    exported = outer.keyword == "export"
                    script.note(Change(name.text, name.place, branch, None, exported))
            case "for_statement":
                variable = node.child_by_field_name("variable")
                if variable is not None:
                    name = text.cut(variable.start_byte, variable.end_byte)
                    _unknown(name.text, name.span, name.place, branch, script)
            case "ERROR":
                script.errors += _left_out(node, text)
            case _:
                pass
    script.commands.sort(key=lambda command: command.span.start)
    script.changes.sort(key=lambda change: change.at)
    return script


class _Outer(NamedTuple):
    """What a node stands in: its kind, and what it does to the variables that it names."""

    kind: str = ""
    keyword: str = ""


def _walk(root: "Node", text: PlacedText) -> "Iterator[tuple[Node, Branch, Document | None, _Outer]]":
    """All nodes in the order of the text, with the branch that each is in and a here-document that it reads."""
    pending: list[tuple[Node, Branch, int, Document | None, _Outer]] = [(root, (), 0, None, _Outer())]
    while pending:
        node, branch, chain, document, outer = pending.pop()
        yield node, branch, document, outer
        kind = node.type
        if kind in ("heredoc_body", "word", "raw_string", "comment"):
            continue
        children = node.children
        if len(branch) > MAX_DEPTH:
            raise UnreadableError(text.cut(node.start_byte).place, f"nesting of more than {MAX_DEPTH} levels")
        if kind in _BRANCHES:
            branch = (*branch, node.id)
        if kind == "redirected_statement":
            document = next(
                (_document(child, node, text) for child in children if child.type == "heredoc_redirect"), None
            )
        elif kind not in ("command", "pipeline"):
            document = None
        is_and = kind == "list" and any(child.type == "&&" for child in children)
        chain = (chain or node.id) if is_and else 0
        following: list[tuple[Node, Branch, int, Document | None, _Outer]] = []
        around = _Outer(kind, _keyword(children, text) if kind in _NAMING else "")
        for index, child in enumerate(children):
            inner = branch
            if (kind == "if_statement" and child.type not in ("elif_clause", "else_clause")) or kind == "pipeline":
                inner = (*branch, node.id if kind == "if_statement" else child.id)
            elif kind == "ERROR":
                # What is around these is not known; nor, then, whether one of them comes before another.
                inner = (*branch, child.id)
            elif kind == "list" and index:
                # What follows `&&` in one chain runs only where all before it did.
                inner = (*branch, chain or child.id)
            following.append((child, inner, chain if is_and and not index else 0, document, around))
        pending += reversed(following)


def _left_out(error: "Node", text: PlacedText) -> Iterator[Span]:
    """What an error holds besides nodes that were understood."""
    at = error.start_byte
    for child in error.named_children:
        if child.type != "word":
            yield text.cut(at, child.start_byte).span
            at = child.end_byte
    yield text.cut(at, error.end_byte).span


def _document(node: "Node", statement: "Node", text: PlacedText) -> Document | None:
    parts = {child.type: child for child in node.children}
    body, start = parts.get("heredoc_body"), parts.get("heredoc_start")
    if body is None or start is None:
        return None
    delimiter = text.data[start.start_byte : start.end_byte]
    head = text.data[statement.start_byte : body.start_byte].decode("utf-8", "replace")
    is_quoted = any(mark in delimiter for mark in (b"'", b'"', b"\\"))
    return Document(text.cut(body.start_byte, body.end_byte), is_quoted, head)


def _command(node: "Node", branch: Branch, document: Document | None, text: PlacedText) -> Command:
    words: list[Word] = []
    prefix: list[Word] = []
    for child in node.children:
        if child.type in ("file_redirect", "herestring_redirect", "heredoc_redirect", "comment"):
            continue
        if child.type == "variable_assignment":
            prefix.append(_word(text.cut(child.start_byte, child.end_byte)))
        elif child.is_named or child.type not in ("(", ")"):
            words.append(_word(text.cut(child.start_byte, child.end_byte)))
    return Command(words, prefix, text.cut(node.start_byte, node.end_byte).span, branch, document)


def _word(text: PlacedText) -> Word:
    """One argument. What a substitution with blanks in it makes of it cannot be known: it stays as written."""
    words = [] if _PLAIN.fullmatch(text.data) else words_of(text)
    return words[0] if len(words) == 1 else Word(text, text.span, [False] * len(text.data))


def _assign(text: PlacedText, branch: Branch, script: Script, is_exported: bool) -> None:
    assignment = _word(text).assignment()
    if assignment is None or not _NAME.fullmatch(assignment[0]):
        return
    name, value, span = assignment
    setting = value_of(name, value, span, script.file, "", script.lookup(text.place, branch))
    script.note(Change(name, text.place, branch, setting, is_exported))


def _unknown(name: str, span: Span, at: int, branch: Branch, script: Script) -> None:
    setting = Setting(name, Unknown(f"${name} is given its value when it runs"), span, script.file, is_literal=False)
    script.note(Change(name, at, branch, setting, False))


def _changes_of(command: Command, script: Script, exports_all: bool) -> bool:
    """Notes what builtins do to variables; answers whether all that follow are exported."""
    words = [word.text.text for word in command.words]
    match words[0]:
        case "read" | "mapfile" | "getopts":
            for word in command.words[1:]:
                if _NAME.fullmatch(word.text.text):
                    _unknown(word.text.text, word.span, command.span.start, command.branch, script)
        case "set" if "-a" in words or "allexport" in words:
            return "+o" not in words
        case "set" if "+a" in words:
            return False
        case "." | "source" if len(words) > 1:
            script.sourced.append(Sourced(words[1], command.span.start, command.branch, exports_all))
        case _:
            pass
    return exports_all


def _keyword(children: "list[Node]", text: PlacedText) -> str:
    """What a builtin that names variables does to them: `export`, `unset` (`export -n` too), or else its name."""
    if not children:
        return ""
    keyword = children[0].type
    flags = [text.data[child.start_byte : child.end_byte] for child in children[1:] if child.type == "word"]
    if keyword == "export":
        return "unset" if b"-n" in flags else "export"
    is_exported = keyword in ("declare", "typeset") and any(flag[:1] == b"-" and b"x" in flag for flag in flags)
    return "export" if is_exported else keyword
