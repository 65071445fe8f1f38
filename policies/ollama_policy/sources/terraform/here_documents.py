"""Files inside of Terraform's here-documents: what a machine, a container or a cluster gets, read by its own source.

    resource "local_file" "compose" {
      filename = "${path.module}/compose.yaml"
      content  = <<-EOT
        services: ...
      EOT
    }

Whose a text is, is told by the path that it goes to, or by what it begins with; a text that says neither is nobody's.
What `${}` in it comes to is put in; where that is not known, what it stands in is undecided.
Facts: HCL's specification of templates (hclsyntax/spec.md): `~`, `<<-`, `$${`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ollama_policy.model.settings import SourceFile, Subject, Unknown
from ollama_policy.sources import SOURCES
from ollama_policy.sources.common.calls import may_call
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.terraform import cloud_init
from ollama_policy.sources.terraform.composed import MAX_BYTES, UNDECIDED, Composed, Place, Read
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.blocks import Block, Expression, of_type
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.language.scope import Scope
from ollama_policy.sources.terraform.language.syntax import HclBlock
from ollama_policy.sources.terraform.language.templates import MARKS, marks_of
from ollama_policy.sources.terraform.models import origin_of
from ollama_policy.sources.terraform.modules.expansion import expand
from ollama_policy.sources.terraform.modules.module import Instance

_OPENS: Final = re.compile(rb"<<-?[ \t]*[\w.-]+[ \t]*\r?\n")
_BEGINNINGS: Final = frozenset(("<<", "<<-", "heredoc_start"))
_KINDS: Final = frozenset(("resource", "data", "locals", "module"))
# Functions that leave a text as it is, or that its reader undoes.
_HARMLESS: Final = frozenset(
    "base64encode base64gzip yamldecode yamlencode jsonencode trimspace chomp nonsensitive tostring tolist toset tomap"
    " concat compact merge".split()
)
_CHOICES: Final = frozenset(("conditional", "for_expr", "for_tuple_expr", "for_object_expr"))
_CALCULATIONS: Final = frozenset(("operation", "template_interpolation", "template_directive", "index", "splat"))
_PATHS: Final = ("filename", "path", "destination", "file", "target", "dest")
_REFERENCE: Final = re.compile(r"\$\{[^{}]*\}")
_PROSE: Final = (".md", ".markdown", ".rst", ".adoc", ".html", ".txt")
_OWN: Final = ("terraform.", "pulumi")  # sources of what no here-document is
# What a text begins with or has a line of, and the name that such a file would have.
_SIGNS: Final = tuple(
    (re.compile(pattern, re.MULTILINE), path)
    for pattern, path in (
        (rb"\A\s*#!.*\b(?:ba|da|k|z|a)?sh\b", "script.sh"),
        (rb"^\[Service\]", "text.service"),
        (rb"^\[Container\]", "text.container"),
        (rb"^apiVersion:", "manifest.yaml"),
        (rb"^services:", "compose.yaml"),
        (rb"\A\s*(?:#.*\s+)*FROM[ \t]+(?:\S*/)?ollama/ollama\b", "Dockerfile"),
    )
)


def find(blocks: list[Block]) -> "Iterator[HereDocument]":
    """The here-documents of a file's blocks that may be about Ollama."""
    for block in blocks:
        if block.kind not in _KINDS or not isinstance(block, HclBlock):
            continue
        at = block.header_end
        while (opening := _OPENS.search(block.file.data, at, block.end)) is not None:
            at = opening.end()
            node = block.node_at(opening.start())
            while node is not None and node.type in _BEGINNINGS:
                node = node.parent
            if node is None or node.type != "heredoc_template":
                continue
            at = max(at, node.end_byte)
            if may_call(block.file.data[node.start_byte : node.end_byte].lower()):
                yield HereDocument(block, node)


@dataclass(frozen=True, slots=True)
class HereDocument:
    """A here-document and the top-level block that it stands in."""

    block: HclBlock
    node: Any

    def subjects(self, instances: list[Instance]) -> Iterator[Subject]:
        """What the text configures, once for each text that it is in the instances of its block."""
        names = self._names()
        if names is None:
            return
        found: list[Subject] = []
        texts: set[bytes] = set()
        size = 0
        for instance, suffix, scope in self._expanded(instances):
            text = compose(self.block.file, self.node, scope, instance)
            if text is None or text.data in texts:
                continue
            size += text.size
            texts.add(text.data)
            if names.condition is not None:
                text.is_conditional_from(0, names.condition)
            if size > MAX_BYTES:
                text.is_conditional_from(0, Unknown("a text that is in very many instances"))
            for subject in _read_any(text, names, scope, f"{instance.prefix}{names.address}{suffix}"):
                subject.unit = instance.root
                found.append(subject)
            if size > MAX_BYTES:
                break
        if len(texts) > 1:
            for subject in found:
                subject.insertion = None
                for setting in subject.settings.values():
                    setting.is_literal = False
        yield from found

    def _expanded(self, instances: list[Instance]) -> Iterator[tuple[Instance, str, Scope]]:
        """The instances of the block; the first alone where nothing in the text depends on which it is."""
        is_one = not marks_of(self.node)
        for instance in instances:
            scope = instance.scope()
            for suffix, inner in expand(self.block, scope) if self.block.kind != "locals" else [("", scope)]:
                yield instance, suffix, inner
                if is_one:
                    return

    def _names(self) -> "_Names | None":
        """What stands around the text; None where that is a calculation with it."""
        condition, box, node = None, None, self.node.parent
        while node is not None and node.type != "attribute":
            kind = node.type
            if kind in _CHOICES:
                condition = Unknown("a condition or a loop decides on the text")
            elif kind in _CALCULATIONS:
                if any(child.type not in ("conditional", "for_expr") for child in node.children):
                    return None
            elif kind == "function_call":
                if node.children[0].text.decode() not in _HARMLESS:
                    return None
            elif kind == "object_elem":
                box = box or node
            node = node.parent
        is_read_elsewhere = self.block.labels[:1] == ["helm_release"] and node is not None and _key(node) == "values"
        if node is None or is_read_elsewhere:
            return None
        return _Names(self.block, node, box, condition)


@dataclass(frozen=True, slots=True)
class _Names:
    """The attribute that a text is in, and the element of an object in it, if it is in one."""

    block: HclBlock
    attribute: Any
    element: Any
    condition: Unknown | None

    @property
    def address(self) -> str:
        labels = [*self.block.labels] if self.block.labels else [_key(self.attribute)]
        heads = {"resource": [], "locals": ["local"]}
        return ".".join([*heads.get(self.block.kind, [self.block.kind]), *labels])

    @property
    def is_script(self) -> bool:
        """Whether it is a command by where it stands."""
        body = self.attribute.parent
        outer = None if body is None else body.parent
        return (
            outer is not None
            and outer.type == "block"
            and outer.children[0].text == b"provisioner"
            and _key(self.attribute) in ("command", "inline")
        )

    def path(self, scope: Scope) -> str:
        """Where the text goes, as far as it is said; empty where it is not."""
        if self.element is not None and "." in (name := _key(self.element)):
            return _REFERENCE.sub("x", name)
        near, kind = (self.attribute, "attribute") if self.element is None else (self.element, "object_elem")
        siblings = {_key(each): each for each in of_type(near.parent, kind) if each is not near}
        for name in _PATHS:
            if name in siblings:
                node = of_type(siblings[name], "expression")[-1]
                written = Expression(self.block.file, node.start_byte, node.end_byte, node)
                value = evaluate(written, scope)
                if isinstance(value, str):
                    return value
                text = written.text
                return _REFERENCE.sub("x", text[1:-1]) if text.startswith('"') else ""
        return ""


def _key(node: Any) -> str:
    """The name of an attribute, or the key of an object's element."""
    return str(node.children[0].text.decode("utf-8", "replace")).strip('"')


def _read_any(text: Composed, names: _Names, scope: Scope, address: str) -> Iterator[Subject]:
    if text.data.lstrip().startswith(b"#cloud-config"):
        return text.subjects(_read_cloud_init, "user-data", address)
    return _read(text, names.path(scope), address, is_script=names.is_script)


def _read(text: Composed, path: str, address: str, *, is_script: bool = False) -> Iterator[Subject]:
    """What a text that goes to a path configures."""
    path = path.lstrip("/").replace("\0", "")
    data = text.data
    if path.lower().endswith(_PROSE):
        return
    name = "script.sh" if is_script else next((name for sign, name in _SIGNS if sign.search(data)), "")
    for candidate in filter(None, (path, name)):
        read = reader_of(SourceFile(candidate, data))
        if read is not None:
            yield from text.subjects(read, candidate, address)
            return


def _read_cloud_init(file: SourceFile, tree: Tree) -> Iterator[Subject]:
    for text, path in cloud_init.texts(file):
        yield from _read(text, path, "")


def reader_of(file: SourceFile) -> Read | None:
    """The reading of the first source that takes a file of that name and content."""
    name = file.path.rpartition("/")[2].lower()
    dot = name.rfind(".")
    lowered = file.data.lower()
    for registered in SOURCES:
        is_named = (dot > 0 and name[dot:] in registered.suffixes) or re.fullmatch(registered.names or r"(?!)", name)
        may_be = is_named and not registered.module.startswith(_OWN) and registered.may_hold(lowered)
        if may_be and registered.source.accepts(file):
            return registered.source.read
    return None


# The text.


def compose(file: SourceFile, node: Any, scope: Scope, instance: Instance) -> Composed | None:
    """The text of a `heredoc_template` node; None where it is too large."""
    return _Template(file, node, scope, instance).text()


class _Template:
    """One here-document with what its expressions come to in one scope."""

    def __init__(self, file: SourceFile, node: Any, scope: Scope, instance: Instance) -> None:
        self.file = file
        self.scope = scope
        self.instance = instance
        self.composed = Composed()
        self.parts = _parts(file.data, node)
        self.indent = 0
        self.indented: set[int] = set()
        if of_type(node, "heredoc_start")[0].text == b"<<-":
            self._outdent()

    def _outdent(self) -> None:
        """Finds what all lines begin with; those of white space alone do not count, nor lose anything."""
        least, is_start = None, True
        for part in self.parts:
            line = self.file.data[part.start : part.end] if part.mark is None else b""
            stripped = line.lstrip()
            if is_start and (stripped or not line.endswith(b"\n")):
                width = len(line) - len(stripped)
                least = width if least is None else min(least, width)
                if part.mark is None:
                    self.indented.add(part.start)
            is_start = line.endswith(b"\n")
        self.indent = least or 0

    def text(self) -> Composed | None:
        """Copies what stands there, and puts in what expressions come to."""
        branches: list[_Branch] = []
        for part in self.parts:
            is_shown = all(branch.is_taken is not False for branch in branches)
            if part.mark is not None:
                self._directive(part.mark, branches, is_shown=is_shown)
            elif is_shown:
                self._copy(part.start, part.end)
            if self.composed.size > MAX_BYTES:
                return None
        return self.composed

    def _directive(self, mark: Any, branches: "list[_Branch]", *, is_shown: bool) -> None:
        kind = MARKS[mark.type]
        if kind == "value":
            if is_shown:
                self._put(mark)
        elif kind in ("if", "for"):
            value = self._value(mark) if kind == "if" and is_shown else Unknown("a loop in a template")
            known = values.to_bool(value)
            reason = known if isinstance(known, Unknown) else Unknown("null as a condition")
            is_taken = known if isinstance(known, bool) else None
            branches.append(_Branch(self.composed.size, is_taken, reason))
        elif branches and kind == "else":
            branch = branches[-1]
            branch.is_taken = None if branch.is_taken is None else not branch.is_taken
        elif branches:
            branch = branches.pop()
            if branch.is_taken is None and is_shown:
                self.composed.is_conditional_from(branch.start, branch.reason)

    def _value(self, mark: Any) -> Any:
        inner = of_type(mark, "expression")
        if len(inner) != 1:
            return Unknown("a template that is not understood")
        return evaluate(Expression(self.file, inner[0].start_byte, inner[0].end_byte, inner[0]), self.scope)

    def _put(self, mark: Any) -> None:
        value = values.to_text(self._value(mark))
        written = Expression(self.file, mark.start_byte, mark.end_byte, mark)
        if not isinstance(value, str):
            unknown = value if isinstance(value, Unknown) else Unknown("null in a template")
            self.composed.stand_in(UNDECIDED, Place(self.file, written.start, written.end, unknown))
        else:
            origin = origin_of(written, self.instance)
            self.composed.stand_in(value, Place(self.file, written.start, written.end, None, origin))

    def _copy(self, at: int, end: int) -> None:
        """Copies a line, or a part of one, without what a `<<-` takes away and without the escapes of marks."""
        data = self.file.data
        if self.indent and at in self.indented:
            self.composed.indents[at] = data[at : at + self.indent]
            at += self.indent
        while (escape := min(_found(data, mark, at, end) for mark in (b"$${", b"%%{"))) < end:
            self.composed.copy(self.file, at, escape)
            self.composed.copy(self.file, escape + 1, escape + 3)
            at = escape + 3
        self.composed.copy(self.file, at, end)


@dataclass(slots=True)
class _Part:
    """A line or a part of one; or an interpolation or a directive, with its `mark`."""

    start: int
    end: int
    mark: Any = None


def _parts(data: bytes, node: Any) -> list[_Part]:
    """A template in its parts, without the white space that a `~` takes from the part next to it."""
    identifiers = of_type(node, "heredoc_identifier")
    at = data.find(b"\n", identifiers[0].end_byte) + 1
    end = data.rfind(b"\n", 0, identifiers[-1].start_byte) + 1
    parts: list[_Part] = []
    is_eating = False
    for mark in [*marks_of(node), None]:
        stop = end if mark is None else mark.start_byte
        while at < stop:
            line = data.find(b"\n", at, stop) + 1 or stop
            part = _Part(at, line)
            if is_eating:
                part.start = line - len(data[at:line].lstrip())
            parts.append(part)
            is_eating, at = False, line
        if mark is None:
            break
        strips = [strip.start_byte for strip in of_type(mark, "strip_marker")]
        if any(data[low - 2 : low] in (b"${", b"%{") for low in strips) and parts and parts[-1].mark is None:
            last = parts[-1]
            last.end = last.start + len(data[last.start : last.end].rstrip())
        is_eating = any(data[low + 1 : low + 2] == b"}" for low in strips)
        parts.append(_Part(mark.start_byte, mark.end_byte, mark))
        at = mark.end_byte
    return parts


@dataclass(slots=True)
class _Branch:
    """A directive that is open, where its text begins, and whether it is taken: None where nobody knows."""

    start: int
    is_taken: bool | None
    reason: Unknown


def _found(data: bytes, mark: bytes, start: int, end: int) -> int:
    at = data.find(mark, start, end)
    return end if at < 0 else at
