"""TOML with the byte range of every value and key, which tomllib does not give.

tomllib says whether the text is TOML and what its values are; only then are the places looked for, in text that is
known to be right. The tree is json_spans' own: a table's range is its header, or its braces.
"""

import re
import tomllib
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.sources.syntax.json_spans import JsonNode

_SPACE: Final = re.compile(rb"(?:[ \t\r\n]|#[^\n]*+)*+")
_KEY: Final = re.compile(rb'[ \t]*+("(?:[^"\\\n]|\\.)*+"|\'[^\'\n]*+\'|[A-Za-z0-9_-]++)[ \t]*+')
_SCALAR: Final = re.compile(
    rb'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    rb"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    rb'|"(?:[^"\\\n]|\\.)*+"'
    rb"|'[^'\n]*+'"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9][^\s,\]}#]*+"  # a date and a time with a space between
    rb"|[^\s,\]}#]++",
    re.DOTALL,
)
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse(data: bytes) -> JsonNode:
    """The tree of a TOML file. Raises UnreadableError where it is none."""
    try:
        text = data.decode("utf-8-sig")
        tomllib.loads(text)
        return _Finder(data).document()
    except UnicodeDecodeError as error:
        raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
    except RecursionError:
        raise UnreadableError(0, "values nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python converts
        message = str(error)
        place = _PLACE.search(message)
        raise UnreadableError(_offset(text, data, place), f"no TOML: {_PLACE.sub('', message)}") from None


def _offset(text: str, data: bytes, place: re.Match[str] | None) -> int:
    if place is None or place[1] is None:
        return 0 if place is None else len(data)
    lines = text.split("\n")[: int(place[1])]
    before = "".join(line + "\n" for line in lines[:-1]) + lines[-1][: int(place[2]) - 1]
    return len(before.encode()) + (3 if data.startswith(b"\xef\xbb\xbf") else 0)


class _Finder:
    """Walks a text that tomllib has accepted."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        self._values: dict[bytes, Any] = {}
        self._tables: dict[tuple[int, str], JsonNode] = {}  # by the table that holds it, and its key

    def document(self) -> JsonNode:
        root = table = _table(self._at, len(self._data))
        while self._skip() < len(self._data):
            if self._data[self._at] == ord("["):
                table = self._header(root)
            else:
                self._pair(table)
        return root

    def _skip(self) -> int:
        self._at = _end(_SPACE, self._data, self._at)
        return self._at

    def _header(self, root: JsonNode) -> JsonNode:
        start = self._at
        brackets = 2 if self._data.startswith(b"[[", start) else 1
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        table = root
        for key in keys[:-1]:
            table = self._down(table, key)
        last = keys[-1]
        if brackets == 1:
            table = self._down(table, last)
            table.start, table.end = start, self._at
            return table
        listed = self._tables.get((id(table), last.value))
        if listed is None:
            listed = JsonNode([], start, self._at)
            listed.items = []
            self._put(table, last, listed)
            self._tables[id(table), last.value] = listed
        element = _table(start, self._at)
        _append(listed, element)
        return element

    def _down(self, table: JsonNode, key: JsonNode) -> JsonNode:
        """The table at a key: the one that is there (the last of an array of them), or a new one."""
        found = self._tables.get((id(table), key.value))
        if found is None:
            found = self._tables[id(table), key.value] = _table(key.start, key.end)
            self._put(table, key, found)
        return found.items[-1] if found.items else found

    def _put(self, table: JsonNode, key: JsonNode, node: JsonNode) -> None:
        table.members.append((key, node))  # type: ignore[union-attr]  # a list, as it was made
        table.value[key.value] = node.value

    def _pair(self, table: JsonNode) -> None:
        keys = self._keys()
        self._at += 1  # "="
        for key in keys[:-1]:
            table = self._down(table, key)
        self._put(table, keys[-1], self._value())

    def _keys(self) -> list[JsonNode]:
        keys = []
        while True:
            match = _KEY.match(self._data, self._at)
            assert match is not None, "tomllib accepts no other key"
            start, end = match.span(1)
            is_quoted = match[1][:1] in (b'"', b"'")
            keys.append(JsonNode(self._scalar(match[1]) if is_quoted else match[1].decode(), start, end))
            self._at = match.end()
            if not self._data.startswith(b".", self._at):
                return keys
            self._at += 1

    def _value(self) -> JsonNode:
        start = self._skip()
        opening = self._data[start : start + 1]
        if opening not in (b"[", b"{"):
            self._at = _end(_SCALAR, self._data, start)
            return JsonNode(self._scalar(self._data[start : self._at]), start, self._at)
        closing = b"]" if opening == b"[" else b"}"
        node = _table(start, start) if opening == b"{" else JsonNode([], start, start)
        if opening == b"[":
            node.items = []
        self._at += 1
        while not self._data.startswith(closing, self._skip()):
            if opening == b"{":
                self._pair(node)
            else:
                _append(node, self._value())
            if self._data.startswith(b",", self._skip()):
                self._at += 1
        self._at += 1
        node.end = self._at
        return node

    def _scalar(self, written: bytes) -> Any:
        if written not in self._values:
            self._values[written] = tomllib.loads(f"v = {written.decode()}")["v"]
        return self._values[written]


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    assert match is not None, "tomllib accepts nothing else"
    return match.end()


def _table(start: int, end: int) -> JsonNode:
    node = JsonNode({}, start, end)
    node.members = []
    return node


def _append(array: JsonNode, node: JsonNode) -> None:
    array.items.append(node)  # type: ignore[union-attr]  # a list, as it was made
    array.value.append(node.value)
