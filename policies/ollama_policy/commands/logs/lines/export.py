"""journald's export format: entries of fields, each `NAME=text` or, where that cannot be, NAME and counted bytes.

Fact: systemd's JOURNAL_EXPORT_FORMATS.
"""

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Final

START: Final = b"__CURSOR="
_COUNT: Final = 8  # bytes, little-endian, before the value of a binary field

Needs = Generator[None, bytes, bytes]  # is sent chunks until it has what it wants


class Export:
    """Takes chunks, gives the messages of whole entries. `number` is the line that is read, `cut` as Reading's."""

    def __init__(self, longest: int) -> None:
        self.number = 1
        self.cut = 0
        self._longest = longest
        self._buffer = b""
        self._at = 0  # how far it is read
        self._found: list[tuple[int, bytes, bytes, str]] = []
        self._entries = self._read()
        next(self._entries)

    def feed(self, chunk: bytes) -> list[tuple[int, bytes, bytes, str]]:
        self._entries.send(chunk)
        found, self._found = self._found, []
        return found

    def _read(self) -> Generator[None, bytes, None]:
        message, place, at = b"", 0, ""
        while True:
            number = self.number
            name, has_text, value = (yield from self._line()).partition(b"=")
            if not name and not has_text:
                if message:
                    self._found.append((place, message, message, at))
                message, at = b"", ""
                continue
            if not has_text:
                count = int.from_bytes((yield from self._exactly(_COUNT)), "little")
                value = yield from self._exactly(count)
                yield from self._exactly(1)
            if name == b"MESSAGE":
                message, place = value, number
            elif name == b"__REALTIME_TIMESTAMP":
                at = when(value.decode("ascii", "replace"))

    def _line(self) -> Needs:
        kept = b""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            kept = self._keep(kept, self._buffer[self._at :])
            self._buffer, self._at = (yield), 0
        kept = self._keep(kept, self._buffer[self._at : end])
        self._at = end + 1
        self.number += 1
        return kept

    def _exactly(self, count: int) -> Needs:
        kept = b""
        while True:
            part = self._buffer[self._at : self._at + count]
            self._at += len(part)
            self.number += part.count(b"\n")
            kept = self._keep(kept, part)
            count -= len(part)
            if not count:
                return kept
            self._buffer, self._at = (yield), 0

    def _keep(self, kept: bytes, part: bytes) -> bytes:
        if len(kept) <= self._longest < len(kept) + len(part):
            self.cut += 1
        return (kept + part)[: self._longest + 1] if len(kept) <= self._longest else kept


def when(microseconds: object) -> str:
    """journald's time as text, "" where it is none."""
    try:
        return datetime.fromtimestamp(int(str(microseconds)) / 1e6, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""
