"""What Ansible's tasks write into files: `copy` whole ones, `blockinfile`, `lineinfile` and `ini_file` parts of them.

A part of a unit, a drop-in or an env file of Ollama counts where the path says that it is one: the rest of the file is
not known, and neither is what is absent.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ollama_policy.model.settings import Kind, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.ansible.definitions import SUFFIXES
from ollama_policy.sources.ansible.variables import EXPRESSION, Found, Scope, filled, is_no_text
from ollama_policy.sources.common.env_files import own_env_file
from ollama_policy.sources.common.kept import OfTree
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.yaml_environment import excerpt, of_node, placed
from ollama_policy.sources.compose.services import services_subjects
from ollama_policy.sources.kubernetes.manifests import object_subjects, objects
from ollama_policy.sources.syntax.placed_text import PlacedText
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import template_documents
from ollama_policy.sources.systemd import read_placed_unit

# The options that a module takes the text from, by any of their names.
_TEXTS: Final = {
    "copy": ("content",),
    "blockinfile": ("block", "content"),
    "lineinfile": ("line", "value"),
    "ini_file": ("values", "value"),
}
WRITERS: Final = frozenset(_TEXTS)
_PATHS: Final = ("path", "dest", "destfile", "name")
_YES: Final = frozenset(("yes", "true", "on", "1", "y", "t"))
_HEADER: Final = re.compile(rb"^[ \t]*\[(?:Service|Container)\]", re.MULTILINE)
_UNIT: Final = re.compile(r"(?:^|/)ollama(?:@[^/]*)?\.service(?P<drop_in>\.d/[^/]+)?$")
_OTHER_UNIT: Final = re.compile(r"\.service(?:\.d/[^/]+\.conf)?$")
_ENV_FILE: Final = re.compile(r"(?:^|/)etc/ollama/(?:[^/]*\.)?env(?:ironment)?$|/etc/(?:default|sysconfig)/ollama$")
_SERVES: Final = re.compile(rb"\bollama[\"']?\s+serve\b")
_ESCAPES: Final = {"'": re.compile(rb"'(')"), '"': re.compile(rb"\\(.)", re.DOTALL)}
_MEANT: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", **{bytes((sign,)): bytes((sign,)) for sign in b"\"'\\/ "}}
_IN_BYTES: Final = re.compile(EXPRESSION.pattern.encode())
_MAX_DEPTH: Final = 8


class _Written(NamedTuple):
    """A text that a task writes, with its node and the file where that stands.

    `own` is where else in the file its parts stand: the items of a loop, and variables of the play.
    """

    text: PlacedText
    node: Node
    file: SourceFile
    is_literal: bool
    own: tuple[Node, ...] = ()


def written_servers(key: Node, options: Node, address: str, scope: Scope) -> Iterator[Subject]:
    """The servers in what a task writes; `key` is its module, one of WRITERS."""
    module = key.text.rpartition(".")[2]
    path = _path(options, scope)
    for written in _texts(module, options, scope):
        reason: Unknown | None
        if isinstance(written, Unknown):
            found, reason = [], written
        else:
            found = [_settled(subject, written, module) for subject in _servers(key, options, path, written, scope)]
            is_template = b"{{" in written.text.data or b"{%" in written.text.data
            reason = Unknown(f"{excerpt(written.text.text)} is filled in by a template") if is_template else None
        for subject in found:
            subject.address = address
            yield filled(subject, scope)
        if not found and reason is not None and (_UNIT.search(path) or _ENV_FILE.search(path)):
            yield Subject(Kind.SERVER, address, scope.file, key.span, Style.BARE, unknown=reason, is_open=True)


def _path(options: Node, scope: Scope) -> str:
    node = next((node for name in _PATHS if (node := options.get(name)) is not None and node.is_scalar), None)
    value = None if node is None else scope.setting("path", of_node("path", node), scope.file).value
    return value if isinstance(value, str) else "" if node is None else node.text


def _servers(key: Node, options: Node, path: str, written: _Written, scope: Scope) -> Iterator[Subject]:
    module, text, file = key.text.rpartition(".")[2], written.text, written.file
    is_part = module != "copy"
    section = options.text_at("section") if module == "ini_file" else ""
    unit = _UNIT.search(path)
    has_header = _HEADER.search(text.data) is not None
    if has_header or (is_part and section in ("", "Service") and _OTHER_UNIT.search(path)):
        place = key.span if file is scope.file else written.node.span
        if not has_header:
            text = PlacedText.joined([PlacedText.written_as(b"[Service]\n", place), text], place.start)
        # What is added to a unit is to it as a drop-in is.
        where = f"{path}.d/part.conf" if is_part and unit is not None and not unit["drop_in"] else path
        for subject in read_placed_unit(text, file, "", path=where):
            subject.is_open = subject.is_open or is_part
            if not is_part or subject.settings or subject.unknown is not None:
                yield subject
    elif path.endswith(SUFFIXES) and written.node.block is not None:
        for root in template_documents(*written.node.block):
            yield from services_subjects(root, file, scope.tree)
            for item in objects(root):
                yield from object_subjects(item, file, scope.tree)
    elif not section and not _OTHER_UNIT.search(path):
        is_ollamas = b"OLLAMA_" in text.data and _is_read_by_ollama(path, options, scope)
        for subject in own_env_file(path, text, file, is_ollamas=is_ollamas):
            _indent(subject)
            subject.span = key.span if file is scope.file else written.node.span
            yield subject


def _is_read_by_ollama(path: str, options: Node, scope: Scope) -> bool:
    """Whether an env file is that of an Ollama unit: by its path, or because a unit beside the task says so."""
    if _ENV_FILE.search(path):
        return True
    paths = {path, *(options.text_at(name) for name in _PATHS)} - {""}
    return not paths.isdisjoint(_read_by_servers(scope.file)) or not paths.isdisjoint(_ENV_FILES.of(scope.tree))


def _read_by_servers(file: SourceFile) -> Iterator[str]:
    """The env files that units in a file read which serve Ollama."""
    if b"EnvironmentFile=" not in file.data:
        return
    for unit in re.split(rb"^[ \t]*\[(?=[A-Z])", file.data, flags=re.MULTILINE):
        if _SERVES.search(unit):
            for name in re.findall(rb"EnvironmentFile=-?(.*?)[ \t\r]*$", unit, re.MULTILINE):
                yield name.decode("utf-8", "replace")


def _env_files(tree: Tree) -> frozenset[str]:
    return frozenset(name for file in tree.files((".j2", ".service", ".conf")) for name in _read_by_servers(file))


_ENV_FILES: Final = OfTree(_env_files)


def _indent(subject: Subject) -> None:
    """Makes what is added to an env file's text start where its lines do."""
    line = subject.file.data[subject.span.start : subject.span.end]
    indent = line[: len(line) - len(line.lstrip(b" "))].decode()
    if subject.insertion is not None:
        subject.insertion = subject.insertion._replace(before=subject.insertion.before + indent)


def _settled(subject: Subject, written: _Written, module: str) -> Subject:
    """The subject with places that are right where its text was put together from several."""
    node = written.node
    if subject.style is not Style.BARE:
        return subject
    for setting in [*subject.settings.values(), *subject.repeated]:
        if setting.file is not written.file:
            continue
        is_in_place = _is_in(setting.span, node.span) and (setting.span.start < setting.span.end or not setting.value)
        if not is_in_place:
            end = Span(setting.span.end, setting.span.end)
            whole = (own for own in written.own if own.text == setting.value and _is_in(end, own.span))
            setting.span = next(whole, node).span
        setting.is_literal = setting.is_literal and written.is_literal and is_in_place and "{{" not in setting.written
    place = subject.insertion
    can_be_longer = node.style == "|" and written.is_literal and module in ("copy", "blockinfile")
    if place is not None and not (can_be_longer and _is_in(Span(place.at, place.at), node.span)):
        subject.insertion = None
    return subject


def _is_in(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start <= inner.end <= outer.end


# Texts.


def _texts(module: str, options: Node, scope: Scope) -> Iterator[_Written | Unknown]:
    """What a task writes; where it is several values of one option, one after the other."""
    node = next((node for name in _TEXTS[module] if (node := options.get(name)) is not None), None)
    if node is None:
        return
    for each in node.items or [node]:
        if not each.is_scalar or each.is_null:
            continue
        found = _text(each, scope.file, scope)
        if isinstance(found, Unknown):
            yield found
        elif module == "ini_file":
            option = options.get("option")
            if option is not None and option.is_scalar:
                sign = PlacedText.written_as(b"=", Span(option.end, option.end))
                yield found._replace(
                    text=PlacedText.joined([_unquoted(option, scope.file), sign, found.text], each.start)
                )
        elif module == "lineinfile" and b"\\" in found.text.data and options.text_at("backrefs").lower() in _YES:
            yield Unknown(f"a part of {excerpt(found.text.text)} is what its regexp finds")
        else:
            yield found


def _text(node: Node, file: SourceFile, scope: Scope, depth: int = 0) -> _Written | Unknown:
    """A scalar's text, or that of the variable that it is."""
    if (node.has_own_tag and node.tag != "!unsafe") or is_no_text(node):
        return Unknown(f"{excerpt(node.text)} is not plain text")
    whole = EXPRESSION.fullmatch(node.text.strip())
    if whole is not None:
        found = scope.find(whole["name"])
        if isinstance(found, Found) and found.node.is_scalar and depth < _MAX_DEPTH:
            inner = _text(found.node, found.file, scope, depth + 1)
            return inner if isinstance(inner, Unknown) else inner._replace(is_literal=False)
        return found if isinstance(found, Unknown) else Unknown(f"{excerpt(node.text)} is filled in by a template")
    block = node.block
    text = _unquoted(node, file) if block is None else PlacedText.at(*block)
    is_literal = not node.is_shared and node.style != ">"
    parts, own, at = list[PlacedText](), list[Node](), 0
    for match in _IN_BYTES.finditer(text.data):
        name = match["name"].decode()
        found = scope.find(name) if name.partition(".")[0] in scope.own and not match["if_false"] else None
        if isinstance(found, Found) and _is_plain_text(found.node):
            value = _unquoted(found.node, found.file)
            if found.file is not file:
                value = PlacedText.written_as(value.data, text.cut(match.start(), match.end()).span)
            own += [found.node] if found.file is file else []
            parts += [text.cut(at, match.start()), value]
            at = match.end()
    return _Written(PlacedText.joined([*parts, text.cut(at)], text.place), node, file, is_literal, tuple(own))


def _is_plain_text(node: Node) -> bool:
    return node.is_scalar and not (node.is_null or node.has_own_tag or is_no_text(node) or "{{" in node.text)


def _unquoted(node: Node, file: SourceFile) -> PlacedText:
    """A scalar's text with the places of its bytes, those behind an escape too; where it is folded, all for all."""
    raw = PlacedText.at(file.data[node.start + 1 : node.end - 1], node.start + 1)
    escape = _ESCAPES.get(node.style)
    if escape is None or escape.search(raw.data) is None:
        return placed(node)
    parts, at = list[PlacedText](), 0
    for match in escape.finditer(raw.data):
        meant = _MEANT.get(match[1])
        if meant is None:
            return placed(node)
        parts.append(raw.cut(at, match.start()))
        parts.append(PlacedText.written_as(meant, raw.cut(match.start(), match.end()).span))
        at = match.end()
    text = PlacedText.joined([*parts, raw.cut(at)], raw.place)
    return placed(node) if b"\n" in raw.data else text
