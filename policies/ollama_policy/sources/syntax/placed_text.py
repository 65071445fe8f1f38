"""Text that was unquoted, continued or put together, whose every byte still knows its place in the file."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ollama_policy.model.settings import Span


@dataclass(frozen=True, slots=True)
class PlacedText:
    """`data[i]` was written at `starts[i]` to `ends[i]` of the file; `place` is where an empty text would stand."""

    data: bytes
    starts: Sequence[int]
    ends: Sequence[int]
    place: int

    @classmethod
    def at(cls, data: bytes, offset: int) -> "PlacedText":
        """Text that stands in the file as it is."""
        starts = range(offset, offset + len(data))
        return cls(data, starts, range(offset + 1, offset + len(data) + 1), offset)

    @classmethod
    def written_as(cls, data: bytes, span: Span) -> "PlacedText":
        """Text that stands for all of a place in the file: an escape, an expansion."""
        return cls(data, [span.start] * len(data), [span.end] * len(data), span.start)

    @classmethod
    def joined(cls, parts: Iterable["PlacedText"], place: int) -> "PlacedText":
        """Parts one behind the other; `place` serves where there are none."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        starts = [start for part in parts for start in part.starts]
        ends = [end for part in parts for end in part.ends]
        return cls(b"".join(part.data for part in parts), starts, ends, place)

    def cut(self, start: int, end: int | None = None) -> "PlacedText":
        """The part between two indexes."""
        place = self.starts[start] if start < len(self.data) else self.span.end
        return PlacedText(self.data[start:end], self.starts[start:end], self.ends[start:end], place)

    def stripped(self) -> "PlacedText":
        """Without outer white space."""
        left = len(self.data) - len(self.data.lstrip())
        return self.cut(left, max(left, len(self.data.rstrip())))

    @property
    def span(self) -> Span:
        return Span(self.starts[0], self.ends[-1]) if self.data else Span(self.place, self.place)

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as split from a line: its text without quotes, and its place with them.

    `quoted[i]` says whether byte i of the text stood in quotes. `is_closed` is False where a quote has no end.
    """

    text: PlacedText
    span: Span
    quoted: Sequence[bool]
    is_closed: bool = True

    def assignment(self) -> tuple[str, PlacedText, Span] | None:
        """Name, value without quotes, and the value's place, of `NAME=value`; None where it is none.

        Quotes around the value alone belong to its place; quotes around the whole assignment do not.
        """
        at = self.text.data.find(b"=")
        if at < 1:
            return None
        value = self.text.cut(at + 1)
        start = self.text.ends[at]
        end = (value.span.end if value.data else start) if self.quoted[at] else self.span.end
        return self.text.data[:at].decode("utf-8", "replace"), value, Span(start, end)


Escape = Callable[[bytes, int, bytes], tuple[bytes, int]]
"""Reads the escape at a backslash inside a quote (empty: outside): the bytes it stands for, and how many it took."""

_RUNS = {  # by the open quote: what is the text's own, in one go
    b"": re.compile(rb"[^ \t\r\n\"'\\{]++"),
    b'"': re.compile(rb'[^"\\{]++'),
    b"'": re.compile(rb"[^'\\{]++"),
}


def split_words(line: PlacedText, escape: Escape) -> list[Word]:
    """Splits at white space that is not quoted, and takes the quotes away wherever in a word they stand.

    From `{{` to `}}` stands a template's expression: white space and quotes in it are its own.
    """
    data, words, at = line.data, list[Word](), 0
    last_close = data.rfind(b"}}")
    while True:
        while at < len(data) and data[at] in b" \t\r\n":
            at += 1
        if at >= len(data):
            return words
        begin, quote = at, b""
        parts, quoted = list[PlacedText](), list[bool]()
        while at < len(data) and (quote or data[at] not in b" \t\r\n"):
            byte = data[at : at + 1]
            if byte == quote or (not quote and byte in (b'"', b"'")):
                quote = b"" if quote else byte
                at += 1
                continue
            if byte == b"\\":
                piece, taken = escape(data, at, quote)
                part = PlacedText.written_as(piece, line.cut(at, at + taken).span)
            else:
                run = _RUNS[quote].match(data, at)
                close = data.find(b"}}", at) if at < last_close and data.startswith(b"{{", at) else -1
                taken = run.end() - at if run is not None else close + 2 - at if close >= 0 else 1
                part = line.cut(at, at + taken)
            parts.append(part)
            quoted += [bool(quote)] * len(part.data)
            at += taken
        span = line.cut(begin, at).span
        words.append(Word(PlacedText.joined(parts, span.start), span, quoted, not quote))
