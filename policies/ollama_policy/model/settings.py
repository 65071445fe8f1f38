"""What sources yield and rules judge: settings with their exact place, grouped by what they configure.

Offsets are bytes into the file as it is on disk. Lines and columns (1-based; columns in code points) are made from them
only for what is shown.

Nothing here is a dataclass: to import these, and to make all classes, would be a third of the time of one small file.
"""

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, NamedTuple

_MARK = b"\xef\xbb\xbf"
_LONGEST_REASON = 1000  # characters, which often quote what is written
MAX_VALUE = 32_768  # characters of a value that rules judge
_BLOCK = 4096  # bytes between two places of a long line whose characters are counted


class Span(NamedTuple):
    """A half-open range of bytes of one file."""

    start: int
    end: int


class Position(NamedTuple):
    """A place as people count: both from 1, the column in code points."""

    line: int
    column: int


class Unknown:
    """A value that cannot be decided by reading, and why: `var.mode has no default`. Never guessed, never dropped."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        is_long = len(reason) > _LONGEST_REASON
        self.reason = f"{reason[: _LONGEST_REASON // 2]}…{reason[-_LONGEST_REASON // 2 :]}" if is_long else reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown) and type(self) is type(other) and self.reason == other.reason

    def __hash__(self) -> int:
        return hash(self.reason)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r})"


class SourceFile:
    """A file of the checked tree. `path` is POSIX, relative to what was given, and is data: show it escaped."""

    is_file = True

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data
        self.is_given = False  # by its own path, not by a folder's
        self._last_line = 0, ""

    @cached_property
    def text(self) -> str:
        """The text without a byte order mark. Raises UnicodeDecodeError where the file is not UTF-8."""
        return self.data.decode("utf-8-sig")

    @cached_property
    def _line_starts(self) -> list[int]:
        lengths = map(len, self.data.split(b"\n"))
        return [at + ends for ends, at in enumerate(accumulate(lengths, initial=0))][:-1]

    @cached_property
    def line_end(self) -> str:
        """What ends its lines; by the first that ends so, where they differ."""
        return "\r\n" if b"\r\n" in self.data else "\n"

    @cached_property
    def _is_ascii(self) -> bool:
        return self.data.isascii()

    @cached_property
    def _counted(self) -> dict[int, list[tuple[int, int]]]:
        """By line, the bytes up to which its characters were counted, and how many: many places are on a long line."""
        return {}

    def _start(self, line: int) -> int:
        """Where the text of a line begins, behind a byte order mark."""
        start = self._line_starts[line - 1]
        return 3 if line == 1 and self.data.startswith(_MARK) else start

    def position(self, offset: int) -> Position:
        line = bisect_right(self._line_starts, offset)
        start = self._start(line)
        if self._is_ascii:
            return Position(line, offset - start + 1)
        if offset - start <= _BLOCK:
            return Position(line, len(self.data[start:offset].decode("utf-8", "replace")) + 1)
        counted = self._blocks(line, offset)
        at, before = counted[bisect_right(counted, (offset, 0)) - 1]
        return Position(line, before + len(self.data[at:offset].decode("utf-8", "replace")) + 1)

    def _blocks(self, line: int, until: int) -> list[tuple[int, int]]:
        """How many characters of a line there are up to places at most every _BLOCK bytes, as far as is asked for."""
        counted = self._counted.setdefault(line, [(self._start(line), 0)])
        at, count = counted[-1]
        while (end := _whole(self.data, at + _BLOCK)) < until:
            count += len(self.data[at:end].decode("utf-8", "replace"))
            counted.append((end, count))
            at = end
        return counted

    def line(self, number: int) -> str:
        """The text of a line (from 1), without its end."""
        known, text = self._last_line
        if known != number:
            text = self.data[self._start(number) : self._line_stop(number)].decode("utf-8", "replace").rstrip("\r\n")
            self._last_line = number, text
        return text

    def offset(self, line: int, column: int) -> int:
        """The byte offset of a place that a parser gives in code points, both from 1; it decodes the whole line."""
        start = self._start(line)
        text = self.data[start : self._line_stop(line)].decode("utf-8", "replace")
        return start + len(text[: column - 1].encode("utf-8"))

    def _line_stop(self, number: int) -> int:
        return self._line_starts[number] if number < len(self._line_starts) else len(self.data)


class Address(SourceFile):
    """A place that is not a file, such as a server: what is there has no line and no text."""

    is_file = False

    def __init__(self, url: str) -> None:
        super().__init__(url, b"")


class Style(StrEnum):
    """How a format writes a text value, for fixes that add or rewrite one."""

    HCL = "hcl"
    YAML = "yaml"
    JSON = "json"
    TOML = "toml"
    PYTHON = "python"
    NIX = "nix"
    BARE = "bare"  # env files, units, Dockerfiles, shells: as it stands, quoted only where it has to be


class Setting:
    """One key with its value as far as it can be known.

    `span` covers the value as written, quotes included, in `file`: that may be another file than the subject's, when
    the value comes from a variable's default. `origin` then says how it came here. `is_literal` says that the value is
    written at `span` itself, for this setting alone, so that a fix may rewrite it.
    """

    __slots__ = ("file", "is_literal", "key", "origin", "span", "value")

    def __init__(
        self, key: str, value: Any, span: Span, file: SourceFile, origin: str = "", is_literal: bool = True
    ) -> None:
        self.key = key
        self.value = value
        self.span = span
        self.file = file
        self.origin = origin
        self.is_literal = is_literal

    @property
    def is_known(self) -> bool:
        return not isinstance(self.value, Unknown)

    @property
    def written(self) -> str:
        """The value's text in the file."""
        return self.file.data[self.span.start : self.span.end].decode("utf-8", "replace")


class Kind(StrEnum):
    """What a group of settings configures."""

    MODEL = "model"  # a declaration of `ollama_model`; keys are those of ollama_provider.model.ModelDeclaration
    SERVER = "server"  # a process that runs Ollama; keys are its variables, and IMAGE, MEMORY_LIMIT, VERSION
    REQUEST = "request"  # a call of Ollama's API in a script; keys are ENDPOINT and the body's fields, MODEL among them


# Keys of a server beside its variables.
IMAGE = "image"  # text: the image's reference as written
VERSION = (
    "version"  # text: the version of Ollama where it is known otherwise than by IMAGE (a package, a build argument)
)
MEMORY_LIMIT = "memory_limit"  # int: bytes that the container or unit may use
GPU_COUNT = "gpu_count"  # int: GPUs given to it
# Keys of a request beside its body's fields. Options are flattened: `options.num_ctx`.
ENDPOINT = "endpoint"  # text: the path, such as /api/generate or /v1/chat/completions


class Insertion(NamedTuple):
    """Where and how a setting that is not there can be added: `before` + key + `between` + value + `after` at `at`.

    `style` is how the value is written there, where that is not the subject's. `is_camel_case`: the format writes
    `keepAlive` for `keep_alive`.
    """

    at: int
    before: str
    between: str
    after: str
    style: Style | None = None
    is_camel_case: bool = False


class Subject:
    """A group of settings: one declaration, one server, one request.

    `is_open` says that others may add settings where it is used, as those do who run an image: what is absent is not
    certain then, and no one's fault.

    `span` is what stands for the whole of it where a finding has no setting to point at (a block's header, a service's
    name). `unknown` says why there may be settings that were not seen (an env_file that is not in the tree).
    `is_fragment` says that it is a part of a declaration on purpose: its name need not be there.
    `unit` is what is applied together (a root module's folder): only what is of one unit can contradict itself.
    `provider_host` is what the provider of a declaration without a host of its own says: a text, or Unknown.
    """

    def __init__(
        self,
        kind: Kind,
        address: str,
        file: SourceFile,
        span: Span,
        style: Style,
        *,
        insertion: Insertion | None = None,
        unknown: Unknown | None = None,
        is_fragment: bool = False,
        unit: str = "",
        is_open: bool = False,
    ) -> None:
        self.kind = kind
        self.address = address
        self.file = file
        self.span = span
        self.style = style
        self.settings: dict[str, Setting] = {}
        self.repeated: list[Setting] = []
        self.insertion = insertion
        self.unknown = unknown
        self.is_fragment = is_fragment
        self.unit = unit
        self.is_open = is_open
        self.provider_host: Any = None

    @property
    def shows_all(self) -> bool:
        """Whether what is absent here is absent."""
        return self.unknown is None and not self.is_open

    def add(self, setting: Setting) -> None:
        """Adds a setting; a key that is there already is kept as `repeated` and the later one counts."""
        if setting.key in self.settings:
            self.repeated.append(self.settings[setting.key])
        self.settings[setting.key] = setting

    def known(self, key: str) -> Setting | None:
        """The setting, where it is there and decided."""
        setting = self.settings.get(key)
        return setting if setting is not None and setting.is_known else None

    def bound(self) -> int:
        """Makes values undecided that are longer than any rule is meant for, and counts all, also those in others."""
        every = 0
        for setting in (*self.settings.values(), *self.repeated):
            size, count = _size(setting.value)
            every += count
            if size > MAX_VALUE:
                setting.value = TOO_LARGE
                setting.is_literal = False
        return every

    def value(self, key: str) -> Any:
        """The decided value, or None where it is absent or undecided: `servers.decided` tells."""
        setting = self.settings.get(key)
        return None if setting is None or isinstance(setting.value, Unknown) else setting.value


TOO_LARGE: Final = Unknown(f"too large to decide: a value of more than {MAX_VALUE:,} characters")


def _size(value: Any) -> tuple[int, int]:
    """The characters and digits of a value, counted as far as MAX_VALUE, and how many keys and values those are."""
    waiting, size, count = [value], 0, 0
    while waiting and size <= MAX_VALUE:
        one = waiting.pop()
        count += 1
        if isinstance(one, dict | list | tuple | set | frozenset) and len(one) > MAX_VALUE:
            size = MAX_VALUE
        elif isinstance(one, dict):
            waiting += (*one.keys(), *one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        size += len(one) if isinstance(one, str) else one.bit_length() // 3 if isinstance(one, int) else 1
    return size, count


class Edit(NamedTuple):
    """A replacement of bytes; an empty span inserts. All that is outside stays as it was."""

    file: SourceFile
    span: Span
    text: str


def quoted(style: Style, value: str) -> str:
    """A text as the format writes it."""
    if style in (Style.HCL, Style.JSON, Style.TOML, Style.PYTHON, Style.YAML, Style.NIX):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


def rewrite(setting: Setting, value: str) -> Edit | None:
    """The edit that gives a literal text setting another value, in the quotes that it has; None where there is none."""
    if not setting.is_literal:
        return None
    quote = setting.written[:1] if setting.written[:1] in ('"', "'") else ""
    return Edit(setting.file, setting.span, f"{quote}{value}{quote}")


def insert(subject: Subject, key: str, value: str) -> Edit | None:
    """The edit that adds a text setting; None where the source does not know a place."""
    place = subject.insertion
    if place is None:
        return None
    if place.is_camel_case:
        first, *others = key.split("_")
        key = first + "".join(map(str.capitalize, others))
    text = f"{place.before}{key}{place.between}{quoted(place.style or subject.style, value)}{place.after}"
    return Edit(subject.file, Span(place.at, place.at), text)


def apply(edits: Iterable[Edit], data: bytes) -> bytes:
    """The bytes of a file after edits that do not overlap; of two insertions at one place the later stands first."""
    parts: list[bytes] = []
    at = 0
    ordered = [*edits]
    ordered.reverse()
    ordered.sort(key=lambda edit: edit.span.start)
    for edit in ordered:
        parts += (data[at : edit.span.start], edit.text.encode("utf-8"))
        at = edit.span.end
    return b"".join((*parts, data[at:]))


def _whole(data: bytes, at: int) -> int:
    """The first byte from there on that begins a character."""
    while at < len(data) and 0x80 <= data[at] < 0xC0:
        at += 1
    return at
