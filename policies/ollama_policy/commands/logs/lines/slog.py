"""Go's slog text lines: `time=... level=INFO source=sched.go:491 msg="system memory" total="23.5 GiB"`."""

import re
from typing import Final

# A name begins after a space and is short: so no text makes the search look at its bytes again and again.
_FIELD: Final = re.compile(r'(?<!\S)("(?:[^"\\]|\\.){1,64}"|[^\s="]{1,64})=("(?:[^"\\]|\\.)*"|\S*)')
_ESCAPE: Final = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)")
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def message(line: bytes) -> bytes:
    """The message as it stands, without quotes: what a line is told by before anything else of it is read."""
    at = line.find(b" msg=", 0, 256) + 5
    if at == 4:
        return b""
    if line[at : at + 1] == b'"':
        return line[at + 1 : line.find(b'"', at + 1)]
    end = line.find(b" ", at)
    return line[at:] if end < 0 else line[at:end]


def fields(line: bytes) -> dict[str, str]:
    """The fields of a line, unquoted; of a name that comes twice the later one."""
    text = line.decode("utf-8", "backslashreplace")
    return {_unquoted(found[1]): _unquoted(found[2]) for found in _FIELD.finditer(text)}


def _unquoted(text: str) -> str:
    if text[:1] != '"':
        return text
    text = text[1:-1]
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) == 1:
        return _SHORT.get(escape, escape)
    code = int(escape[1:], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
