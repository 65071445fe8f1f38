"""JSON with the byte range of every value and key, which the standard library's reader does not give.

    node = parse(b'{"env": [{"name": "OLLAMA_HOST"}]}')
    node.get("env").items[0].get("name").span

Strict as RFC 8259, and safe with any bytes: no recursion, a cap on depth, `UnreadableError` at the exact byte.
"""

import json
import re
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Span

MAX_DEPTH: Final = 256
_MAX_DIGITS: Final = 4000  # Python refuses to convert whole numbers of more than 4,300

_MARK: Final = b"\xef\xbb\xbf"
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_TOKEN: Final = re.compile(
    rb'[ \t\r\n]*+(?:"([^"\\\x00-\x1f]*+)"'  # 1: a text without escapes
    rb'|("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'  # 2: a text
    rb"|([{}\[\],:])"  # 3
    rb"|(-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+)(?![0-9.a-zA-Z+-])"  # 4: a number
    rb"|(true|false|null)(?![0-9a-zA-Z_]))"  # 5
)
_MARKS: Final = 3  # the group of punctuation
_WORDS: Final = {b"true": True, b"false": False, b"null": None}


class JsonNode:
    """A value, or a member's key. `start` and `end` are bytes, quotes and brackets included, base offset added.

    `value` is the plain Python value, of an object or array too. `members` are an object's pairs of key and value in
    the order of the text, repeated keys included; `items` are an array's elements; both are empty for anything else.
    """

    __slots__ = ("end", "items", "members", "start", "value")

    def __init__(self, value: Any, start: int, end: int) -> None:
        self.value = value
        self.start = start
        self.end = end
        self.members: list[tuple[JsonNode, JsonNode]] | tuple[()] = ()
        self.items: list[JsonNode] | tuple[()] = ()

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    def get(self, key: str) -> "JsonNode | None":
        """The value of an object's member; the last one where the key is repeated; None on anything else."""
        for name, node in reversed(self.members):
            if name.value == key:
                return node
        return None

    def at(self, *path: str | int) -> "JsonNode | None":
        """The value down a path of keys and indexes, or None."""
        node: JsonNode | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(step, str):
                node = node.get(step)
            else:
                node = node.items[step] if -len(node.items) <= step < len(node.items) else None
        return node


def _text(raw: bytes, offset: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(offset + error.start, "bytes that are not UTF-8", "UTF-8") from None


def _unexpected(data: bytes, at: int, base: int, expected: str) -> UnreadableError:
    at = _after_space(data, at)
    if at >= len(data):
        return UnreadableError(base + len(data), "the end of the text", expected)
    if data[at : at + 1] == b'"':
        end = at + 1
        while end < len(data) and data[end] >= 0x20 and data[end : end + 1] != b'"':
            end += 2 if data[end : end + 1] == b"\\" else 1
        what = "a text with an unknown escape" if data[end : end + 1] == b'"' else "a text without an end"
        return UnreadableError(base + at, what, "a text in double quotes on one line")
    head = data[at : at + 12].decode("utf-8", "replace").split()
    return UnreadableError(base + at, repr(head[0] if head else chr(data[at])), expected)


def parse(data: bytes, base_offset: int = 0) -> JsonNode:
    """The tree of a JSON text. `base_offset` is added to every place, for a text that is part of a file.

    Raises UnreadableError where it is not JSON, is nested deeper than MAX_DEPTH, or something follows it.
    """
    at = len(_MARK) if data.startswith(_MARK) else 0
    stack: list[JsonNode] = []  # the open objects and arrays
    keys: list[JsonNode] = []  # of each open object, the key whose value is read
    while True:
        # A value.
        token = _TOKEN.match(data, at)
        if token is None:
            raise _unexpected(data, at, base_offset, "a value")
        at = token.end()
        if token.lastindex == _MARKS:
            node = _opened(token, base_offset)
            closing = _TOKEN.match(data, at)
            if closing is None or closing[_MARKS] != (b"]" if isinstance(node.value, list) else b"}"):
                if len(stack) >= MAX_DEPTH:
                    raise UnreadableError(node.start, f"nesting of more than {MAX_DEPTH} levels")
                stack.append(node)
                if isinstance(node.value, dict):
                    at = _key(data, at, base_offset, keys, "a key in double quotes or '}'")
                continue
            at = closing.end()
            node.end = base_offset + at
        else:
            node = _scalar(token, base_offset)
        # What follows it: the next value, or the end of what holds it.
        while stack:
            box = stack[-1]
            is_object = isinstance(box.value, dict)
            if is_object:
                key = keys.pop()
                box.members.append((key, node))  # type: ignore[union-attr]  # a list, as it was opened
                box.value[key.value] = node.value
            else:
                box.items.append(node)  # type: ignore[union-attr]
                box.value.append(node.value)
            token = _TOKEN.match(data, at)
            mark = b"" if token is None else token[_MARKS]
            if token is not None and mark == b",":
                at = token.end()
                if is_object:
                    at = _key(data, at, base_offset, keys, "a key in double quotes")
                break
            if token is None or mark != (b"}" if is_object else b"]"):
                raise _unexpected(data, at, base_offset, "',' or '}'" if is_object else "',' or ']'")
            at = token.end()
            node = stack.pop()
            node.end = base_offset + at
        else:
            if _after_space(data, at) < len(data):
                raise _unexpected(data, at, base_offset, "the end of the text")
            return node


def _opened(token: re.Match[bytes], base: int) -> JsonNode:
    start, end = token.span(_MARKS)
    mark = token[_MARKS]
    node = JsonNode({} if mark == b"{" else [], base + start, base + end)
    if mark == b"{":
        node.members = []
    elif mark == b"[":
        node.items = []
    else:
        raise UnreadableError(base + start, repr(mark.decode()), "a value")
    return node


def _scalar(token: re.Match[bytes], base: int) -> JsonNode:
    start, end = token.span(token.lastindex or 0)
    match token.lastindex:
        case 1:
            return JsonNode(_text(token[1], base + start), base + start - 1, base + end + 1)
        case 2:
            return JsonNode(_unescaped(token[2], base + start), base + start, base + end)
        case 4:
            return JsonNode(_number(token[4], base + start), base + start, base + end)
    return JsonNode(_WORDS[token[5]], base + start, base + end)


def _key(data: bytes, at: int, base: int, keys: list[JsonNode], expected: str) -> int:
    """Reads a key and its colon; answers where the value begins."""
    token = _TOKEN.match(data, at)
    if token is None or token.lastindex not in (1, 2):
        raise _unexpected(data, at, base, expected)
    keys.append(_scalar(token, base))
    colon = _after_space(data, token.end())
    if data[colon : colon + 1] != b":":
        raise _unexpected(data, colon, base, "':'")
    return colon + 1


def _after_space(data: bytes, at: int) -> int:
    space = _SPACE.match(data, at)
    return at if space is None else space.end()


def _unescaped(raw: bytes, offset: int) -> str:
    """The text that a literal with escapes stands for; half of a surrogate pair becomes `?`."""
    text: str = json.loads(_text(raw, offset))
    return text.encode("utf-8", "replace").decode("utf-8")


def _number(raw: bytes, offset: int) -> int | float:
    if raw.lstrip(b"-").isdigit():
        if len(raw) > _MAX_DIGITS:
            raise UnreadableError(offset, f"a number of {len(raw)} digits")
        return int(raw)
    return float(raw)
