"""NixOS, home-manager and nix-darwin modules: `services.ollama`, its systemd unit, containers of Ollama's image.

Decided are literals, what is put together from literals, and `let` names that are bound once. All other references are
Unknown: a module's options come from anywhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model import images
from ollama_policy.model.settings import (
    IMAGE,
    MEMORY_LIMIT,
    Insertion,
    Kind,
    Setting,
    SourceFile,
    Span,
    Style,
    Subject,
    Unknown,
)
from ollama_policy.sources import nix_options
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.nix_functions import ALIKE, CONDITIONAL, TO_STRING, wraps
from ollama_policy.sources.syntax import grammars
from ollama_provider.ollama.sizes import Convention, bytes_of

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_DEPTH: Final = 200

_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


class Nix:
    """The Ollama server of a Nix module."""

    name = "nix"

    def accepts(self, file: SourceFile) -> bool:
        return file.path.endswith(".nix") and b"ollama" in file.data.lower()

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        try:
            file.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
        root = grammars.parse("nix", file.data)
        if root.has_error:
            raise UnreadableError(grammars.first_error(root), "text that is not Nix", "an expression")
        yield from _Module(file, root).subjects()


@dataclass(slots=True)
class _Binding:
    """`path = value;` wherever in the module it stands, with the full path of the sets around it."""

    path: nix_options.Path
    node: "Node"
    value: "Node | None"  # None: inherited
    is_conditional: bool


@dataclass(slots=True)
class _Module:
    file: SourceFile
    root: "Node"
    bindings: list[_Binding] = field(default_factory=list)
    names: dict[str, "Node | None"] = field(default_factory=dict)  # of `let`; None: bound more than once, or elsewhere

    def subjects(self) -> Iterator[Subject]:
        self._collect()
        yield from self._service()
        yield from self._containers()

    # What the module binds.

    def _collect(self) -> None:
        pending: list[tuple[Node, nix_options.Path, bool, int]] = [(self.root, (), False, 0)]
        while pending:
            node, path, is_conditional, depth = pending.pop()
            if depth > MAX_DEPTH:
                raise UnreadableError(node.start_byte, f"nesting of more than {MAX_DEPTH} levels")
            inner = path
            match node.type:
                case "binding":
                    attribute, value = node.child_by_field_name("attrpath"), node.child_by_field_name("expression")
                    own = self._path(attribute) if attribute is not None else None
                    if own is None or value is None:
                        continue
                    scope = node.parent.parent if node.parent is not None else None
                    if scope is not None and scope.type == "let_expression":
                        # A name of the file's own, no option.
                        self.names[own[0]] = None if own[0] in self.names or len(own) > 1 else value
                        inner = ("let",)
                    else:
                        inner = path + own
                        self.bindings.append(_Binding(inner, node, value, is_conditional))
                    pending.append((value, inner, is_conditional, depth + 1))
                    continue
                case "inherit" | "inherit_from":
                    names = node.child_by_field_name("attrs")
                    for name in names.named_children if names is not None else ():
                        self.bindings.append(_Binding((*path, self._text(name)), name, None, is_conditional))
                    continue
                case "formal":
                    argument = node.child_by_field_name("name")
                    if argument is not None:
                        self.names[self._text(argument)] = None
                case "apply_expression" if CONDITIONAL.match(self._text(node)):
                    is_conditional = True
                case "if_expression":
                    is_conditional = True
                case _:
                    pass
            pending += [(child, inner, is_conditional, depth + 1) for child in reversed(node.named_children)]

    def _path(self, attribute: "Node") -> nix_options.Path | None:
        """The names of an attribute's path; None where one of them is computed."""
        names = []
        for name in attribute.named_children:
            if name.type == "identifier":
                names.append(self._text(name))
            elif name.type == "string_expression":
                value = self._string(name)
                if not isinstance(value, str):
                    return None
                names.append(value)
            elif name.type != "comment":
                return None
        return tuple(names)

    # The server of services.ollama.

    def _service(self) -> Iterator[Subject]:
        about = [(binding, self._about(binding)) for binding in self.bindings]
        relevant = [(binding, key) for binding, key in about if key is not None]
        if not relevant or any(
            binding.value is not None
            and nix_options.ends(binding.path, nix_options.ENABLE) == 0
            and self._text(binding.value) == "false"
            for binding in self.bindings
        ):
            return
        first = relevant[0][0].node
        attribute = first.child_by_field_name("attrpath") or first
        span = Span(attribute.start_byte, attribute.end_byte)
        subject = Subject(Kind.SERVER, "services.ollama", self.file, span, Style.NIX)
        for binding, key in relevant:
            if key in (nix_options.WHOLE_SET, nix_options.LIST):
                if binding.value is not None and not self._is_plain_set(binding.value):
                    subject.unknown = Unknown(f"{'.'.join(binding.path)} is put together from elsewhere")
                if key == nix_options.LIST and binding.value is not None:
                    self._list(subject, binding.value, binding.is_conditional)
                elif binding.value is not None and subject.insertion is None:
                    subject.insertion = self._insertion(binding.value)
            elif key == nix_options.FILE:
                subject.unknown = Unknown("its environment file is not in the tree")
            elif key == MEMORY_LIMIT:
                self._limit(subject, binding)
            elif key:
                subject.add(self._setting(key, binding))
        yield subject

    def _about(self, binding: _Binding) -> str | None:
        """What a binding says of the server: a variable's name, MEMORY_LIMIT, or one of the marks below."""
        for option in nix_options.VARIABLES:
            at = nix_options.ends(binding.path, option)
            if at == 0:
                return nix_options.WHOLE_SET
            if at == 1:
                return binding.path[-1]
        if any(nix_options.ends(binding.path, option) == 0 for option in nix_options.LISTS):
            return nix_options.LIST
        if any(nix_options.ends(binding.path, option) == 0 for option in nix_options.FILES):
            return nix_options.FILE
        if any(nix_options.ends(binding.path, option) == 0 for option in nix_options.LIMITS):
            return MEMORY_LIMIT
        is_header = any(nix_options.ends(binding.path, option) == 0 for option in nix_options.HEADERS)
        return nix_options.HEADER if is_header and "systemd" not in binding.path else None

    def _is_plain_set(self, node: "Node") -> bool:
        """Whether all of a set or list is written here: sets, `//` and wrappers of these."""
        pending = [node]
        while pending:
            node = pending.pop()
            match node.type:
                case "attrset_expression" | "rec_attrset_expression":
                    # Names that are computed could be any.
                    for binding in node.named_children:
                        for child in binding.named_children:
                            attribute = child.child_by_field_name("attrpath")
                            if attribute is not None and self._path(attribute) is None:
                                return False
                case "binary_expression" | "parenthesized_expression":
                    pending += node.named_children
                case "apply_expression" if ALIKE.match(self._text(node)) or CONDITIONAL.match(self._text(node)):
                    argument = node.child_by_field_name("argument")
                    pending += [argument] if argument is not None else []
                case "list_expression" | "string_expression" | "indented_string_expression" | "comment":
                    pass
                case _:
                    return False
        return True

    def _list(self, subject: Subject, node: "Node", is_conditional: bool) -> None:
        """`[ "A=1" "B=2" ]`, or one text of systemd's."""
        pending = [node]
        while pending:
            node = pending.pop()
            if node.type in ("list_expression", "binary_expression", "parenthesized_expression"):
                pending += reversed(node.named_children)
                continue
            if node.type not in ("string_expression", "indented_string_expression"):
                continue
            raw = self._text(node)
            name = re.match(r"""['"]+\s*["']?([A-Za-z_][A-Za-z0-9_]*)=""", raw)
            if name is None:
                continue
            start = node.start_byte + len(raw[: name.end()].encode())
            end = node.end_byte - (1 if node.type == "string_expression" else 2)
            value: str | Unknown = self._string(node)
            if isinstance(value, str):
                value = value.strip().strip("\"'").partition("=")[2]
                if re.search(r"\s\"?[A-Za-z_]+=", value):
                    value = Unknown("several variables in one text")
            if is_conditional:
                value = Unknown("a condition decides on it")
            subject.add(Setting(name[1], value, Span(start, end), self.file, is_literal=isinstance(value, str)))

    def _limit(self, subject: Subject, binding: _Binding) -> None:
        setting = self._setting(MEMORY_LIMIT, binding)
        if setting.value == "infinity":
            return
        if isinstance(setting.value, str):
            size = bytes_of(setting.value, Convention.SYSTEMD)
            reason = "depends on the machine" if setting.value.endswith("%") else "is not a size: systemd ignores it"
            setting.value = Unknown(f"{setting.value} {reason}") if size is None else size
        if binding.path[-1] == "MemoryHigh" and MEMORY_LIMIT in subject.settings:
            return
        subject.add(setting)

    # Containers.

    def _containers(self) -> Iterator[Subject]:
        groups: dict[nix_options.Path, list[_Binding]] = {}
        for binding in self.bindings:
            for at in range(len(binding.path) - 2):
                if binding.path[at : at + 2] == nix_options.CONTAINERS:
                    groups.setdefault(binding.path[: at + 3], []).append(binding)
        for path, bindings in groups.items():
            image = next((binding for binding in bindings if binding.path == (*path, "image")), None)
            if image is None or image.value is None:
                continue
            setting = self._setting(IMAGE, image)
            written = setting.value if isinstance(setting.value, str) else setting.written.strip("\"'")
            if not images.is_ollama(written):
                continue
            whole = next((binding for binding in bindings if binding.path == path), image)
            attribute = whole.node.child_by_field_name("attrpath") or whole.node
            span = Span(attribute.start_byte, attribute.end_byte)
            subject = Subject(Kind.SERVER, f"containers.{path[-1]}", self.file, span, Style.NIX)
            subject.add(setting)
            for binding in bindings:
                tail = binding.path[len(path) :]
                if tail == ("environment",) and binding.value is not None:
                    subject.insertion = self._insertion(binding.value)
                    if not self._is_plain_set(binding.value):
                        subject.unknown = Unknown("its environment is put together from elsewhere")
                elif len(tail) == 2 and tail[0] == "environment":
                    subject.add(self._setting(tail[1], binding))
                elif tail == ("environmentFiles",):
                    subject.unknown = Unknown("its environment files are not in the tree")
                elif tail == ("extraOptions",) and binding.value is not None:
                    self._options(subject, binding.value)
            yield subject

    def _options(self, subject: Subject, node: "Node") -> None:
        """`--memory=8g` among a container's options."""
        if node.type != "list_expression":
            subject.unknown = Unknown("its options are put together from elsewhere")
            return
        for element in node.named_children:
            value = self._string(element) if element.type == "string_expression" else None
            if isinstance(value, str) and value.startswith(("--memory=", "-m=")):
                size = bytes_of(value.partition("=")[2])
                start = element.start_byte + 1 + value.index("=") + 1
                if size is not None:
                    subject.add(Setting(MEMORY_LIMIT, size, Span(start, element.end_byte - 1), self.file))

    # Values.

    def _setting(self, key: str, binding: _Binding) -> Setting:
        if binding.value is None:
            span = Span(binding.node.start_byte, binding.node.end_byte)
            return Setting(key, Unknown(f"{key} is inherited"), span, self.file, is_literal=False)
        node, origin = binding.value, ""
        for _ in range(MAX_DEPTH):
            if node.type == "parenthesized_expression" and node.named_children:
                node = node.named_children[0]
            elif node.type == "apply_expression" and wraps(self._text(node), ALIKE, TO_STRING):
                argument = node.child_by_field_name("argument")
                if argument is None:
                    break
                node = argument
            elif node.type == "variable_expression" and self.names.get(self._text(node)) is not None:
                origin = self._text(node)
                following = self.names[origin]
                assert following is not None  # as was asked
                node = following
            else:
                break
        value = self._value(node)
        if binding.is_conditional and not isinstance(value, Unknown):
            value = Unknown("a condition decides on it")
        span = Span(node.start_byte, node.end_byte)
        is_text = node.type.endswith("string_expression")
        is_literal = is_text and not origin and all(part.type != "interpolation" for part in node.named_children)
        return Setting(key, value, span, self.file, origin, is_literal)

    def _value(self, node: "Node") -> str | Unknown:
        match node.type:
            case "string_expression" | "indented_string_expression":
                return self._string(node)
            case "integer_expression" | "float_expression":
                return self._text(node)
            case "unary_expression" if re.fullmatch(r"-\s*[0-9.]+", self._text(node)):
                return self._text(node).replace(" ", "")
            case _:
                shown = self._text(node)
                return Unknown(f"{shown if len(shown) <= 60 else node.type.replace('_', ' ')} is not followed")

    def _string(self, node: "Node") -> str | Unknown:
        parts: list[str] = []
        is_indented = node.type == "indented_string_expression"
        for child in node.named_children:
            text = self._text(child)
            match child.type:
                case "string_fragment":
                    parts.append(text)
                case "escape_sequence" if is_indented:
                    # `'''` is two quotes; `''\n` an escape.
                    parts.append("''" if text == "'''" else _ESCAPES.get(text[-1:], text[-1:]))
                case "escape_sequence":
                    parts.append(_ESCAPES.get(text[1:], text[1:]))
                case "dollar_escape":
                    pass  # the `$` is the next part's
                case "interpolation":
                    inner = child.named_children[0] if child.named_children else child
                    bound = self.names.get(self._text(inner)) if inner.type == "variable_expression" else None
                    value = self._literal(bound) if bound is not None else Unknown(f"{text} is not followed")
                    if isinstance(value, Unknown):
                        return value
                    parts.append(value)
                case _:
                    return Unknown(f"{text} is not followed")
        return "".join(parts)

    def _literal(self, node: "Node") -> str | Unknown:
        """The text of a literal; what it refers to itself is not followed further."""
        if node.type == "string_expression" and all(child.type != "interpolation" for child in node.named_children):
            return self._string(node)
        return self._text(node) if node.type == "integer_expression" else Unknown(f"{self._text(node)} is not followed")

    def _insertion(self, node: "Node") -> Insertion | None:
        """Behind the last binding of a set, in its indentation."""
        while node.type != "attrset_expression":
            inner = [child for child in node.named_children if child.type in _SETS]
            if not inner:
                return None
            node = inner[-1]
        bound = [child for group in node.named_children for child in group.named_children if child.type == "binding"]
        if not bound:
            return None
        last = bound[-1]
        data = self.file.data
        line = data.rfind(b"\n", 0, last.start_byte) + 1
        indent = data[line : last.start_byte]
        newline = "\r\n" if data[:line].endswith(b"\r\n") else "\n"
        before = f"{newline}{indent.decode('utf-8', 'replace')}" if not indent.strip() and line else " "
        return Insertion(last.end_byte, before, " = ", ";")

    def _text(self, node: "Node") -> str:
        return self.file.data[node.start_byte : node.end_byte].decode("utf-8", "replace")


_SETS: Final = ("attrset_expression", "binary_expression", "parenthesized_expression", "apply_expression")
