"""Lines out of a log, however it was kept: as Ollama wrote it, or in what docker, CRI, compose or journald made of it.

Facts: docker's json-file driver, `docker logs --timestamps` and compose's prefix; `kubectl logs --prefix`; the CRI's
log format; `journalctl --output` short, short-iso, short-precise, short-full, short-monotonic and json. The export
format is in `export`.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

from ollama_policy.commands.logs.lines.export import START, Export, when
from ollama_policy.commands.logs.lines.llama_cpp import LLAMA_CPP

LONGEST: Final = 64 * 1024  # bytes that are kept of a line; nothing that Ollama says of memory is longer

# A line's number from 1, the line as it stands, what the program wrote, and when: by what kept it, or "".
Line = tuple[int, bytes, bytes, str]
Unwrapped = tuple[bytes, str] | None  # what the program wrote, and when; None: half of a line

_DATE = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_SHORT = rb"(?:[A-Z][a-z]{2} )?(?:[A-Z][a-z]{2} [ \d]\d|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d(?:\.\d+)?(?: [A-Z]{2,5})?"
_JOURNAL: Final = re.compile(rb"(" + _SHORT + rb"|" + _DATE + rb") [\w.-]+ [^\s\[:]+(?:\[\d+\])?: ")
_STAMPED: Final = re.compile(rb"(" + _DATE + rb") (?:std(?:out|err) ([FP]) )?")
_COMPOSE: Final = re.compile(rb"(?:\x1b\[[0-9;]*m)?[A-Za-z0-9][\w.-]{0,127} +\|(?:\x1b\[0m)? (?:\x1b\[0m)?")
_BRACKETED: Final = re.compile(rb"\[(?:pod/[^\]\s]{1,512}\] | *\d+\.\d{1,9}\] [\w.-]+ [^\s\[:]+(?:\[\d+\])?: )")


class Reading:
    """Takes chunks of bytes, gives whole lines. `cut` counts those of which only the beginning was kept."""

    def __init__(self) -> None:
        self.number = 0
        self.cut = 0
        self._rest = b""
        self._skips = False  # to the end of a line that is too long
        self._halves = Halves()
        self._export: Export | None = None
        self._has_begun = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        if not self._has_begun:
            chunk, self._rest = self._rest + chunk, b""
            if START.startswith(chunk):
                self._rest = chunk
                return
            self._has_begun = True
            if chunk.startswith(START):
                self._export = Export(LONGEST)
        if self._export is None:
            yield from self._lines(chunk)
        else:
            yield from self._export.feed(chunk)
            self.number, self.cut = self._export.number - 1, self._export.cut

    def finish(self) -> Iterator[Line]:
        """What is left: a last line that has no end."""
        if self._export is not None:
            yield from self._export.feed(b"\n\n")
        elif self._rest:
            yield from self._lines(b"\n")
        text = self._halves.left()
        if text:
            yield self.number, text, text, ""

    def _lines(self, chunk: bytes) -> Iterator[Line]:
        if self._skips:
            end = chunk.find(b"\n")
            if end < 0:
                return
            chunk, self._skips = chunk[end:], False
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LONGEST:
            self._rest, self._skips = self._rest[: LONGEST + 1], True
        number = self.number
        for line in lines:
            number += 1
            if len(line) > LONGEST:
                line = line[:LONGEST]
                self.cut += 1
            if line[:5] == b"time=" or line.startswith(LLAMA_CPP):
                yield number, line, line, ""
            elif line:
                unwrapped = self._unwrapped(line)
                if unwrapped is not None:
                    yield number, line, *unwrapped
        self.number = number

    def _unwrapped(self, line: bytes) -> Unwrapped:
        first = line[:1]
        if first == b"{":
            return self._of_json(line)
        if first == b"[":
            found = _BRACKETED.match(line)
            if found is None:
                return line, ""
            line = line[found.end() :]
        if b" |" in line[:160]:
            compose = _COMPOSE.match(line)
            if compose is not None:
                line = line[compose.end() :]
        if not line[:1].isalnum():
            return line, ""
        found = _JOURNAL.match(line)
        if found is not None:
            return line[found.end() :], found[1].decode()
        found = _STAMPED.match(line) if line[:1].isdigit() else None
        if found is None:
            return line, ""
        text, at = line[found.end() :], found[1].decode()
        return (text, at) if found[2] is None else self._halves.joined(text, at, is_last=found[2] == b"F")

    def _of_json(self, line: bytes) -> Unwrapped:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return line, ""
        log = entry.get("log")
        if isinstance(log, str):
            at = entry.get("time")
            return self._halves.joined(
                _bytes(log).rstrip(b"\r\n"), at if isinstance(at, str) else "", is_last=log.endswith("\n")
            )
        if "MESSAGE" not in entry:
            return line, ""
        return _message(entry["MESSAGE"]), when(entry.get("__REALTIME_TIMESTAMP"))


class Halves:
    """Joins what docker and the CRI split: lines of more than 16 KiB."""

    def __init__(self) -> None:
        self._before = b""

    def joined(self, text: bytes, at: str, *, is_last: bool) -> Unwrapped:
        text = (self._before + text)[:LONGEST]
        self._before = b"" if is_last else text
        return (text, at) if is_last else None

    def left(self) -> bytes:
        text, self._before = self._before, b""
        return text


def _message(message: object) -> bytes:
    """journald writes what is not UTF-8 as a list of bytes, and null for what is too long."""
    if isinstance(message, str):
        return _bytes(message)
    try:
        return bytes(message) if isinstance(message, list) else b""
    except (TypeError, ValueError):
        return b""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
