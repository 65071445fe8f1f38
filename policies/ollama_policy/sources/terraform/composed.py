"""A text that Terraform puts together, of which every byte knows where it was written, and its reading by a source.

    text = Composed()
    text.copy(file, start, end)  # stands there as it is
    text.stand_in("5m", Place(file, start, end))  # what an expression came to
    text.stand_in(UNDECIDED, Place(file, start, end, Unknown("var.x has no default")))
    text.subjects(Compose().read, "compose.yaml", "local_file.f")

What a source says of places in this text is said of the files that it was written in. Where an undecided piece stands,
it is undecided for the piece's own reason.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Insertion, Kind, Setting, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.common.source import Tree

Read = Callable[[SourceFile, Tree], Iterator[Subject]]
UNDECIDED: Final = "{{terraform}}"  # every source knows it for what a template fills in
MAX_BYTES: Final = 1 << 20
_MAX_CONDITIONS: Final = 64
_NAMES_IMAGE: Final = re.compile(rb"image[\"']?:[ \t]*[\"']?[^\s{\"']{0,200}ollama/ollama\b")
_HEAD: Final = 200  # bytes before a piece that are looked at
# What stands on a line before a piece that may bring more than one value: nothing, a dash, or the name of a box.
_BRINGS_MORE: Final = re.compile(
    rb"[ \t]*(?:-[ \t]+)*+[\"']?"
    rb"|(?:[ \t]*(?:-[ \t]+)*+|[^\n]*[{,][ \t]*)[\"']?"
    rb"\w*(?i:env|image|resources|limits|ollama|gpu|models|deploy|services|containers|spec|command|args|entrypoint)"
    rb"\w*[\"']?[ \t]*:[ \t]*[\"']?"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece was written. `is_literal`: its value stands there as it is, quotes included."""

    file: SourceFile
    start: int
    end: int
    unknown: Unknown | None = None
    origin: str = ""
    is_literal: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """`start` to `end` of the text. `is_copy`: byte for byte what is at its place."""

    start: int
    end: int
    place: Place
    is_copy: bool


class _NoTree:
    """What a text that goes elsewhere has around it, as far as anybody knows: nothing."""

    def sibling(self, file: SourceFile, relative: str) -> SourceFile | None:
        return None

    def folder(self, file: SourceFile, suffixes: tuple[str, ...]) -> list[SourceFile]:
        return []

    def files(self, suffixes: tuple[str, ...]) -> list[SourceFile]:
        return []


@dataclass(slots=True)
class Composed:
    """Pieces one behind the other. `indents`: what was taken away before a line, by where that begins in the file."""

    indents: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    _parts: list[bytes] = field(default_factory=list)
    _pieces: list[_Piece] = field(default_factory=list)
    _conditional: list[tuple[int, int, Unknown]] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return b"".join(self._parts)

    def copy(self, file: SourceFile, start: int, end: int) -> None:
        self._add(file.data[start:end], Place(file, start, end), is_copy=True)

    def stand_in(self, text: str, place: Place) -> None:
        self._add(text.encode("utf-8", "replace"), place, is_copy=False)

    def _add(self, data: bytes, place: Place, *, is_copy: bool) -> None:
        if data:
            self._parts.append(data)
            self._pieces.append(_Piece(self.size, self.size + len(data), place, is_copy))
            self.size += len(data)

    def is_conditional_from(self, start: int, unknown: Unknown) -> None:
        """What was added since then is there on a condition that is not known."""
        self._conditional.append((start, self.size, unknown))
        if len(self._conditional) > _MAX_CONDITIONS:
            self._conditional = [(0, MAX_BYTES, unknown)]

    def subjects(self, read: Read, path: str, address: str, *, is_ollamas: bool = False) -> Iterator[Subject]:
        """What a source reads in it, as a file of that path in an empty tree. Never raises what `read` may raise.

        A text that cannot be read is undecided where it is Ollama's: as the caller knows, or by an image's name.
        """
        if not self.size:
            return
        whole = SourceFile(path, self.data)
        found: list[Subject] = []
        problem: Unknown | None = None
        try:
            if self.size > MAX_BYTES:
                raise UnreadableError(0, "a text that is too large")
            found.extend(read(whole, _NoTree()))
        except (UnreadableError, UnicodeDecodeError, RecursionError) as error:
            problem = Unknown(f"a part of it is not read: {error}")
        if problem is not None and not found and (is_ollamas or _NAMES_IMAGE.search(whole.data)):
            found.append(Subject(Kind.SERVER, "", whole, Span(0, 1), Style.YAML))
        bringing = [piece for piece in self._pieces if piece.place.unknown is not None and _brings_more(piece, whole)]
        for subject in found:
            subject.unknown = subject.unknown or problem
            yield self._moved(subject, whole, address, bringing)

    def place(self, span: Span) -> Place:
        """Where a part of the text was written, with why that is undecided or where it came from."""
        pieces = self._under(span)
        first, last = pieces[0], pieces[-1]
        start = first.place.start + (span.start - first.start if first.is_copy else 0)
        if last.place.file is not first.place.file:
            last = first
        end = last.place.end - (max(0, last.end - span.end) if last.is_copy else 0)
        if not span.start < span.end:
            end = start
        reasons = [piece.place.unknown for piece in pieces]
        reasons += [reason for low, high, reason in self._conditional if low < span.end and span.start < high]
        unknown = next(filter(None, reasons), None)
        origin = next((piece.place.origin for piece in pieces if piece.place.origin), "")
        is_whole = first is last and (first.start, first.end) == (span.start, span.end)
        is_literal = all(piece.is_copy for piece in pieces) or (is_whole and first.place.is_literal)
        return Place(first.place.file, start, max(start, end), unknown, origin, is_literal and unknown is None)

    def _under(self, span: Span) -> list[_Piece]:
        """The pieces of a part; of an empty one that which it stands in or behind."""
        at = max(0, bisect_right(self._pieces, span.start, key=lambda piece: piece.start) - 1)
        found = [self._pieces[at]]
        while (at := at + 1) < len(self._pieces) and self._pieces[at].start < span.end:
            found.append(self._pieces[at])
        return found

    def _moved(self, subject: Subject, whole: SourceFile, address: str, bringing: list[_Piece]) -> Subject:
        is_own = subject.file is whole
        subject.address = f"{address} {subject.address}".strip().replace(UNDECIDED, "…")
        for key in [key for key in subject.settings if UNDECIDED in key]:
            del subject.settings[key]
            subject.unknown = subject.unknown or Unknown("the name of a variable is not known")
        settings = [*subject.settings.values(), *subject.repeated]
        spans = [setting.span for setting in settings if setting.file is whole]
        subject.unknown = self._incomplete(spans, bringing) or subject.unknown
        if subject.unknown is not None and UNDECIDED in subject.unknown.reason:
            subject.unknown = Unknown(subject.unknown.reason.replace(UNDECIDED, "…"))
        for setting in settings:
            self._move(setting, whole)
        if is_own:
            subject.insertion = self._insertion(subject.insertion)
            place = self.place(subject.span)
            subject.file, subject.span = place.file, Span(place.start, place.end)
        return subject

    def _incomplete(self, spans: list[Span], bringing: list[_Piece]) -> Unknown | None:
        """Why there may be more than what is seen: a condition, or a piece that is not part of a setting."""
        if self._conditional:
            return self._conditional[0][2]
        spans = sorted(spans)
        ends = list(accumulate((span.end for span in spans), max))
        for piece in bringing:
            before = bisect_left(spans, piece.end, key=lambda span: span.start)
            if not before or ends[before - 1] <= piece.start:
                return piece.place.unknown
        return None

    def _move(self, setting: Setting, whole: SourceFile) -> None:
        if setting.file is not whole:
            return
        place = self.place(setting.span)
        setting.file, setting.span = place.file, Span(place.start, place.end)
        setting.origin = setting.origin or place.origin
        setting.is_literal = setting.is_literal and place.is_literal
        if place.unknown is not None:
            setting.value = place.unknown
        elif UNDECIDED in (setting.value.reason if isinstance(setting.value, Unknown) else str(setting.value)):
            setting.value, setting.is_literal = Unknown("it is put together from what is not known"), False

    def _insertion(self, insertion: Insertion | None) -> Insertion | None:
        """Behind a copied byte or before one, indented as the text is where it stands."""
        if insertion is None or self._conditional:
            return None
        behind = self._under(Span(insertion.at, insertion.at))[0]
        before = self._under(Span(max(0, insertion.at - 1), max(0, insertion.at - 1)))[0]
        piece = behind if behind.is_copy else before
        if not piece.is_copy or not piece.start <= insertion.at <= piece.end:
            return None
        at, data = piece.place.start + insertion.at - piece.start, piece.place.file.data
        indent = self.indents.get(data.rfind(b"\n", 0, at) + 1, b"").decode("utf-8", "replace")
        texts = [text.replace("\n", "\n" + indent) for text in (insertion.before, insertion.between, insertion.after)]
        return insertion._replace(at=at, before=texts[0], between=texts[1], after=texts[2])


def _brings_more(piece: _Piece, whole: SourceFile) -> bool:
    line = max(whole.data.rfind(b"\n", 0, piece.start) + 1, piece.start - _HEAD)
    return _BRINGS_MORE.fullmatch(whole.data, line, piece.start) is not None
