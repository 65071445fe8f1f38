"""YAML with the place of every node in bytes, read by libyaml, safe with any bytes.

    for root in documents(b"services: {ollama: {image: ollama/ollama}}"):
        root.at("services", "ollama", "image").span

Aliases and merge keys are followed when asked for and never copied, so that no file grows by being read. Plain scalars
keep their text: what `yes`, `0o17` or `1_000` is differs from tool to tool, and `value` says what it is to most.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.errors import TooLargeError, UnreadableError
from ollama_policy.model.settings import Span
from ollama_policy.sources.syntax.yaml_text import FREE_VISITS, Ranges, Text

MAX_DEPTH: Final = 200  # of what is walked; libyaml itself stops at 1,000

_PROPERTY: Final = re.compile(rb"[&!][^\s,\[\]{}]*+(?:[ \t\r\n]++(?:#[^\r\n]*+)?+)*+")
_STANDARD: Final = "tag:yaml.org,2002:"
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


class Node:
    """A value or a key. `is_shared`: it stands elsewhere, and an alias or a merge key leads to it."""

    __slots__ = ("_raw", "_text", "depth", "is_shared")

    def __init__(self, text: Text, raw: Any, depth: int = 0, is_shared: bool = False) -> None:
        self._text = text
        self._raw = raw
        self.depth = depth
        self.is_shared = is_shared
        text.left -= 1
        if depth > MAX_DEPTH:
            raise UnreadableError(self.start, f"nesting of more than {MAX_DEPTH} levels")
        if text.left < 0:
            raise TooLargeError(self.start, "aliases that stand for too many values")

    @property
    def visits(self) -> int:
        """How many nodes of its text were visited so far."""
        return FREE_VISITS + 8 * len(self._text.data) - self._text.left

    def weigh(self, visits: int) -> None:
        """Counts what is done with it as so many visits more. Raises TooLargeError as they do."""
        self._text.left -= visits
        if self._text.left < 0:
            raise TooLargeError(self.start, "aliases that stand for too many values")

    def __repr__(self) -> str:
        return f"<{self._raw.id} at {self.start}>"

    # What it is.

    @property
    def is_mapping(self) -> bool:
        return bool(self._raw.id == "mapping")

    @property
    def is_sequence(self) -> bool:
        return bool(self._raw.id == "sequence")

    @property
    def is_scalar(self) -> bool:
        return bool(self._raw.id == "scalar")

    @property
    def is_flow(self) -> bool:
        """Whether a mapping or sequence is written in brackets."""
        return bool(self._raw.flow_style)

    @property
    def tag(self) -> str:
        """The tag as written in full, empty where there is none: `!vault`, `tag:yaml.org,2002:str`."""
        return str(self._raw.tag)

    @property
    def has_own_tag(self) -> bool:
        """Whether a tag that only some tool knows (`!vault`, `!reset`, `!secret`) decides what the value is."""
        return bool(self._raw.tag) and not self._raw.tag.startswith(_STANDARD)

    @property
    def id(self) -> int:
        """The same for all aliases of one node."""
        return id(self._raw)

    # Where it is.

    @property
    def start(self) -> int:
        """The byte at which it begins, behind its anchor and its tag."""
        data, at = self._text.data, self._text.byte(self._raw.start_mark.index)
        while data[at : at + 1] in (b"&", b"!"):
            found = _PROPERTY.match(data, at, self._text.byte(self._raw.end_mark.index))
            if found is None or found.end() == at:
                break
            at = found.end()
        return self._text.base + at

    @property
    def end(self) -> int:
        """The byte behind it: quotes and brackets included, white space and comments that follow it not."""
        end = self._text.byte(self._raw.end_mark.index)
        if self.is_scalar and self._raw.style not in ("|", ">"):
            return max(self._text.base + end, self.start)
        if not self.is_scalar and self._raw.flow_style:
            return self._text.base + end
        last = self._last()
        if last is not None:
            return last.end
        start = self.start - self._text.base
        return self._text.base + start + len(self._text.data[start:end].rstrip())

    def _last(self) -> "Node | None":
        """What a block ends with, where it stands there; an alias's own end is not known."""
        if self.is_sequence:
            items = self.items
            return items[-1] if items and items[-1].is_shared == self.is_shared else None
        members = self.own_members
        if not members:
            return None
        key, value = members[-1]
        return value if value.is_shared == self.is_shared and value.end >= key.end else key

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    # A scalar.

    @property
    def text(self) -> str:
        """A scalar's text without quotes, a template's actions in it as written; empty for anything else."""
        if not self.is_scalar:
            return ""
        if not self._text.actions:
            return str(self._raw.value)
        start, end = self.start - self._text.base, self.end - self._text.base
        if self._text.data[start:end] == self._text.original[start:end]:
            return str(self._raw.value)
        quotes = 1 if self._raw.style in ("'", '"') else 0
        return self._text.original[start + quotes : max(start + quotes, end - quotes)].decode("utf-8", "replace")

    @property
    def is_filled_in(self) -> bool:
        """Whether a template's action stands in it, or on one of its lines: it may decide what is there, or whether."""
        if not self._text.actions:
            return False
        start, end = self._text.line_around(self.start - self._text.base, self.end - self._text.base)
        return _meets(self._text.actions, start, end)

    @property
    def holds_actions(self) -> bool:
        """Whether a template's action in it, or behind it, decides more than a value: there may be more, or less."""
        end = self._text.byte(self._raw.end_mark.index)
        return _meets(self._text.gaps, self.start - self._text.base, end)

    @property
    def style(self) -> str:
        """How a scalar is written: `'`, `"`, `|`, `>`, or empty for a plain one."""
        return self._raw.style or "" if self.is_scalar else ""

    @property
    def is_plain(self) -> bool:
        return self.is_scalar and not self._raw.style and not self._raw.tag

    @property
    def is_null(self) -> bool:
        return self.is_scalar and (
            (self.is_plain and self._raw.value in _NULLS) or self._raw.tag == "tag:yaml.org,2002:null"
        )

    @property
    def value(self) -> Any:
        """The plain Python value, by YAML 1.2's core schema; of a mapping or sequence too, keys as text.

        A value with a tag of some tool's own is its text. Raises UnreadableError for what is nested too deeply.
        """
        if self.is_mapping:
            return {key.text: value.value for key, value in self.members}
        if self.is_sequence:
            return [item.value for item in self.items]
        text = self.text
        if self.is_null:
            return None
        if not self.is_plain:
            return text
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text):
            return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
        return float(text) if len(text) < 400 and _FLOAT.fullmatch(text) else text

    @property
    def verbatim(self) -> int | None:
        """The byte at which a scalar's text stands just as it is; None where escapes or folds changed it."""
        if not self.is_scalar:
            return None
        start = self.start + (1 if self._raw.style in ("'", '"') else 0)
        written = self.text.encode("utf-8", "replace")
        at = start - self._text.base
        return start if self._text.original[at : at + len(written)] == written else None

    @property
    def block(self) -> tuple[bytes, int] | None:
        """The lines of a literal block (`|`) as they stand in the file, indentation included, and their offset."""
        if self.style != "|":
            return None
        start, end = self.start - self._text.base, self._text.byte(self._raw.end_mark.index)
        begin = self._text.data.find(b"\n", start, end) + 1
        return (self._text.original[begin:end], self._text.base + begin) if begin else None

    # A mapping or sequence.

    @property
    def items(self) -> list["Node"]:
        """A sequence's items; empty for anything else."""
        return [] if not self.is_sequence else list(self._items())

    def _items(self) -> Iterator["Node"]:
        last = self._raw.start_mark.index if self._raw.flow_style else self._raw.start_mark.index - 1
        for raw in self._raw.value:
            is_alias = raw.start_mark.index <= last
            last = max(last, raw.start_mark.index)
            yield Node(self._text, raw, self.depth + 1, self.is_shared or is_alias)

    @property
    def own_members(self) -> list[tuple["Node", "Node"]]:
        """A mapping's keys and values in the order of the text, repeated and merge keys included."""
        return [] if not self.is_mapping else list(self._own_members())

    def _own_members(self) -> Iterator[tuple["Node", "Node"]]:
        depth = self.depth + 1
        for key, value in self._raw.value:
            is_alias = value.start_mark.index < key.start_mark.index
            yield (
                Node(self._text, key, depth, self.is_shared),
                Node(self._text, value, depth, self.is_shared or is_alias),
            )

    @property
    def members(self) -> list[tuple["Node", "Node"]]:
        """Keys and values with merge keys followed: what is merged comes first, then its own, repeated keys included.

        A merged pair whose key the mapping has itself, or which an earlier one of several merged mappings has, is left
        out.
        """
        own = self.own_members
        if not any(_is_merge(key) for key, _ in own):
            return own
        seen = {key.text for key, _ in own}
        merged: list[tuple[Node, Node]] = []
        for key, value in own:
            if not _is_merge(key):
                continue
            for source in value.items if value.is_sequence else [value]:
                if not source.is_mapping:
                    continue
                inner = Node(self._text, source._raw, self.depth + 1, is_shared=True)
                new = [(name, node) for name, node in inner.members if name.text not in seen]
                seen |= {name.text for name, _ in new}
                merged += new
        return merged + [(key, node) for key, node in own if not _is_merge(key)]

    def pair(self, key: str) -> tuple["Node", "Node"] | None:
        """The key and the value of a name, the last where it is repeated; None where it is not there."""
        if not self.is_mapping:
            return None
        index = self._text.index_of(self._raw)
        if key in index:
            name, value = index[key]
            is_alias = value.start_mark.index < name.start_mark.index
            depth = self.depth + 1
            return Node(self._text, name, depth, self.is_shared), Node(
                self._text, value, depth, self.is_shared or is_alias
            )
        if "<<" in index:
            for pair in self.members:
                if pair[0].text == key and pair[0].is_scalar:
                    return pair
        return None

    def get(self, key: str) -> "Node | None":
        """The value of a key, the last where it is repeated; None where it is not there, or this is not a mapping."""
        pair = self.pair(key)
        return None if pair is None else pair[1]

    def at(self, *path: str | int) -> "Node | None":
        """The value down a path of keys and indexes, or None."""
        node: Node | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(step, str):
                node = node.get(step)
            else:
                items = node.items
                node = items[step] if -len(items) <= step < len(items) else None
        return node

    def text_at(self, *path: str | int) -> str:
        """The text of the scalar down a path; empty where there is none."""
        node = self.at(*path)
        return "" if node is None or node.is_null else node.text

    @property
    def repeated(self) -> list["Node"]:
        """The keys that a mapping has already, each at its later place."""
        seen: set[str] = set()
        again = []
        for key, _ in self.own_members:
            if key.is_scalar and not _is_merge(key):
                if key.text in seen:
                    again.append(key)
                seen.add(key.text)
        return again

    def walk(self) -> Iterator["Node"]:
        """It and everything under it, in the order of the text, what aliases lead to once only."""
        stack, shared = [self], set[int]()
        while stack:
            node = stack.pop()
            if node.is_shared:
                if node.id in shared:
                    continue
                shared.add(node.id)
            yield node
            children = node.items if node.is_sequence else [value for _, value in node.members]
            stack += reversed(children)


def _meets(ranges: Ranges, start: int, end: int) -> bool:
    """Whether one of the ranges begins, ends or goes on between two bytes."""
    at = bisect_left(ranges, (start, start))
    return (at < len(ranges) and ranges[at][0] < end) or (at > 0 and ranges[at - 1][1] > start)


def _is_merge(key: Node) -> bool:
    return key.is_plain and key.text == "<<"
