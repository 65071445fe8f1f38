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
from typing import Any, NamedTuple


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
        self.reason = reason

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

    @cached_property
    def text(self) -> str:
        """The text without a byte order mark. Raises UnicodeDecodeError where the file is not UTF-8."""
        return self.data.decode("utf-8-sig")

    @cached_property
    def _line_starts(self) -> list[int]:
        lengths = map(len, self.data.split(b"\n"))
        return [at + ends for ends, at in enumerate(accumulate(lengths, initial=0))][:-1]

    def position(self, offset: int) -> Position:
        line = bisect_right(self._line_starts, offset)
        head = self.data[self._line_starts[line - 1] : offset]
        if line == 1:
            head = head.removeprefix(b"\xef\xbb\xbf")
        return Position(line, len(head.decode("utf-8", "replace")) + 1)

    def line(self, number: int) -> str:
        """The text of a line (from 1), without its end."""
        start = self._line_starts[number - 1]
        end = self._line_starts[number] if number < len(self._line_starts) else len(self.data)
        return self.data[start:end].decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r\n")

    def offset(self, line: int, column: int) -> int:
        """The byte offset of a place that a parser gives in code points, both from 1."""
        start = self._line_starts[line - 1]
        end = self._line_starts[line] if line < len(self._line_starts) else len(self.data)
        mark = 3 if self.data.startswith(b"\xef\xbb\xbf") and line == 1 else 0
        text = self.data[start + mark : end].decode("utf-8", "replace")
        return start + mark + len(text[: column - 1].encode("utf-8"))


class Address(SourceFile):
    """A place that is no file, such as a server: what is there has no line and no text."""

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

    def value(self, key: str) -> Any:
        """The decided value, or None where it is absent or undecided: `servers.decided` tells."""
        setting = self.settings.get(key)
        return None if setting is None or isinstance(setting.value, Unknown) else setting.value


class UnreadableError(Exception):
    """A file that a source should read and cannot: `what` was found, `expected` was meant, at a byte offset."""

    def __init__(self, offset: int, what: str, expected: str = "") -> None:
        super().__init__(f"{what}, expected {expected}" if expected else what)
        self.offset = offset


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
    """The bytes of a file after edits that do not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        data = data[: edit.span.start] + edit.text.encode("utf-8") + data[edit.span.end :]
    return data
