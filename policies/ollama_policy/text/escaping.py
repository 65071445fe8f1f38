"""Names and contents are data: what would move a cursor, hide text or end a line is shown by its escape.

So is what a CI runner would take for a command.
"""

import os
import re

from ollama_provider.ollama.runner_commands import without_hash_commands

# Controls of ASCII and Latin-1, what turns the direction of text, line and paragraph separators, bytes that are no
# UTF-8 (surrogates), marks without width that hide in names, and the tags block.
_HIDDEN = (
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\x1b"}
_AT_LINE_START = r"((?:^|[\r\n])\s*+):(?=:)"


def shown(text: str) -> str:
    """The text on one line, harmless in a terminal and in the log of a CI job."""
    if not (text.isascii() and text.isprintable()):
        text = re.sub(_HIDDEN, _escape, text)
    return without_hash_commands(text)


def without_commands(text: str, *, are_ours: bool = False) -> str:
    """A whole report, or a part of one that begins a line, in which a CI runner finds no command.

    JSON and XML mean the same as before. `are_ours`: its lines begin with commands that are meant.
    """
    text = without_hash_commands(text, "#&#35;") if text.startswith("<") else without_hash_commands(text)
    return text if are_ours or "::" not in text else re.sub(_AT_LINE_START, r"\1\\u003a", text)


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown_path(path: str) -> str:
    """A path that begins a line: what starts with `::` would be a command to some CI."""
    return shown("./" + path if path.lstrip().startswith((":", "#")) else path)


def valid_unicode(text: str) -> str:
    """The text as it is, but for surrogates, which no UTF-8 has: for formats that escape all else by themselves."""
    return text if text.isascii() else re.sub("[\ud800-\udfff]", _escape, text)


def file_uri(path: str) -> str:
    """The `file:` address of an absolute path."""
    from urllib.parse import quote  # noqa: PLC0415 - 2 ms to those who show no links

    path = path.replace(os.sep, "/")
    return "file://" + ("" if path.startswith("/") else "/") + quote(os.fsencode(path), safe="/:").removesuffix("/")
