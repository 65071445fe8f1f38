"""Variables of a container as YAML files write them, in all three shapes, and where one more can be added."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ollama_policy.model.settings import Insertion, SourceFile, Span, Style
from ollama_policy.sources.syntax.placed_text import PlacedText
from ollama_policy.sources.syntax.yaml_nodes import Node

_DASH: Final = re.compile(rb"([ ]*-[ ]+)(?:[&!][^ ]+[ ]+)*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+(?:=|$)")
_LONGEST: Final = 80
_A_SHARED_ONE: Final = 30  # visits that a variable of an aliased environment is worth, which each container reads again
_QUOTES: Final = ('"', "'")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A name with its value, if it has one. `node` is a value that stands alone, `item` the item of a list.

    `span` covers the value with its quotes; inside `NAME=value` the value alone. `is_literal`: it stands there as it
    is, for this container alone.
    """

    name: str
    name_span: Span
    value: PlacedText | None
    span: Span
    is_literal: bool
    node: Node | None = None
    item: Node | None = None


def placed(node: Node) -> PlacedText:
    """A scalar's text with the places of its bytes; all of it stands for all of the scalar where that has escapes."""
    data, at = node.text.encode("utf-8", "replace"), node.verbatim
    return PlacedText.written_as(data, node.span) if at is None else PlacedText.at(data, at)


def of_node(name: str, node: Node) -> Assignment:
    """A scalar that stands alone, as the value of a name."""
    is_literal = not node.is_shared and not node.has_own_tag and node.style not in ("|", ">")
    return Assignment(name, node.span, placed(node), node.span, is_literal, node)


def excerpt(text: str) -> str:
    """The beginning of a text, for a message."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= _LONGEST and line == text.strip() else line[:_LONGEST] + "…"


def written(assigned: Assignment, file: SourceFile) -> str:
    """A value as it stands in the file, for a message."""
    return excerpt(file.data[assigned.span.start : assigned.span.end].decode("utf-8", "replace"))


def assignments(box: Node) -> Iterator[Assignment]:
    """A map of names to values, a list of `NAME=value`, or a list of pairs of `name` and `value`."""
    for key, value in box.members:
        yield _assigned(key, value, None)
    for item in box.items:
        name = item.get("name")
        if item.is_scalar:
            yield _split(item)
        elif name is not None and name.is_scalar:
            yield _assigned(name, item.get("value"), item)


def _assigned(name: Node, value: Node | None, item: Node | None) -> Assignment:
    if name.is_shared:
        name.weigh(_A_SHARED_ONE)
    if value is None or not value.is_scalar or value.is_null:
        span = name.span if value is None or value.is_scalar else value.span
        return Assignment(name.text, name.span, None, span, False, value, item)
    return replace(of_node(name.text, value), name_span=name.span, item=item)


def _split(item: Node) -> Assignment:
    if item.is_shared:
        item.weigh(_A_SHARED_ONE)
    name, equals, _ = item.text.partition("=")
    text = placed(item)
    size = len(name.encode("utf-8", "replace"))
    name_span = text.cut(0, size).span
    if not equals:
        return Assignment(name, name_span, None, item.span, False, item=item)
    value = text.cut(size + 1)
    if item.verbatim is None:
        return Assignment(name, item.span, value, item.span, False, item=item)
    return Assignment(name, name_span, value, value.span, not item.is_shared and not item.has_own_tag, item=item)


def insertion(box: Node | None, file: SourceFile) -> Insertion | None:
    """Where a variable can be added to an environment that has some already; None where that is not plain to see."""
    if box is None or box.is_shared or not (box.is_mapping or box.is_sequence):
        return None
    if box.is_flow:
        return _in_flow(box)
    return _in_block_map(box, file.data) if box.is_mapping else _in_block_list(box, file.data)


def _line_start(data: bytes, at: int) -> int:
    return data.rfind(b"\n", 0, at) + 1


def _line_end(data: bytes, at: int) -> tuple[int, str]:
    """Where the line of a place ends, and how: the last line of a file as the line before it."""
    end = data.find(b"\n", at)
    stop = len(data) if end < 0 else end
    stop -= data.endswith(b"\r", at, stop)
    known = data.rfind(b"\n", 0, at) if end < 0 else end
    return stop, "\r\n" if known > 0 and data[known - 1 : known] == b"\r" else "\n"


def _in_flow(box: Node) -> Insertion | None:
    if box.is_mapping:
        members = box.own_members
        if not members or members[-1][1].is_shared:
            return None
        key, value = members[-1]
        quote = key.style if key.style in _QUOTES else ""
        return Insertion(max(key.end, value.end), f", {quote}", f"{quote}: ", "")
    items = box.items
    if not items or items[-1].is_shared:
        return None
    last = items[-1]
    if last.is_scalar:
        if _NAME.match(last.text) is None:
            return None
        quote = last.style if last.style in _QUOTES else ""
        return Insertion(last.end, f", {quote}", "=", quote, Style.BARE)
    name = last.pair("name")
    if name is None:
        return None
    quote = name[0].style if name[0].style in _QUOTES else ""
    return Insertion(last.end, f", {{{quote}name{quote}: {quote}", f"{quote}, {quote}value{quote}: ", "}")


def _in_block_map(box: Node, data: bytes) -> Insertion | None:
    members = box.own_members
    if not members:
        return None
    start = members[0][0].start
    indent = data[_line_start(data, start) : start]
    if indent.strip(b" "):
        return None
    end, newline = _line_end(data, box.end)
    return Insertion(end, newline + indent.decode(), ": ", "")


def _in_block_list(box: Node, data: bytes) -> Insertion | None:
    items = box.items
    if not items or items[-1].is_shared:
        return None
    last = items[-1]
    prefix = _DASH.fullmatch(data[_line_start(data, last.start) : last.start])
    if prefix is None:
        return None
    dash = prefix[1].decode()
    end, newline = _line_end(data, last.end)
    if last.is_scalar:
        if last.style in ("|", ">") or _NAME.match(last.text) is None:
            return None
        quote = last.style
        return Insertion(end, f"{newline}{dash}{quote}", "=", quote, Style.BARE)
    if last.get("name") is None:
        return None
    if last.is_flow:
        return Insertion(end, f"{newline}{dash}{{name: ", ", value: ", "}")
    return Insertion(end, f"{newline}{dash}name: ", f"{newline}{' ' * len(dash)}value: ", "")
