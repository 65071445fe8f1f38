"""Files of variables: `.env` files, `/etc/default/ollama` and what units and containers read with their environment.

Their readers differ. systemd's (`parse_env_file`): a comment only at the start of a line, so an inline `# note` belongs
to the value; `;` comments too; quotes anywhere. Docker's `--env-file`: all after `=` as it stands, quotes included.
Compose's and dotenv's: inline comments after white space, `export`, references in all but single quotes.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Insertion, Kind, Setting, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.common.budget import SETTINGS
from ollama_policy.sources.common.environment import SERVER_ONLY, elsewhere, is_variable, value_of
from ollama_policy.sources.common.kept import Kept, OfTree
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax.placed_text import PlacedText


class Dialect(StrEnum):
    """Whose reader it is."""

    DOTENV = "dotenv"
    SYSTEMD = "systemd"
    DOCKER = "docker"


_NAME: Final = re.compile(rb"[ \t]*+(?P<export>export[ \t]++)?+(?P<name>[A-Za-z_][A-Za-z0-9_.]*+)[ \t]*+=")
_TEMPLATE_SUFFIXES: Final = (".j2", ".tmpl", ".tpl", ".template", ".example", ".sample", ".dist")
_SYSTEMD_FOLDERS: Final = ("default", "sysconfig", "conf.d", "environment.d")
_QUOTED: Final = {
    b'"': re.compile(rb'"((?:[^"\\]++|\\.)*+)"', re.DOTALL),
    b"'": re.compile(rb"'([^']*+)'"),
}
_COMMENT: Final = re.compile(rb"(?:(?<==)|(?<=[ \t]))#")
_DOTENV_ESCAPE: Final = re.compile(rb"\\([nrt\"\\$])")
_SYSTEMD_ESCAPE: Final = re.compile(rb"\\(?:([\"\\`$])|\r?\n)")
_JOINED_LINES: Final = re.compile(rb"\\\r?\n")
_BLANK: Final = re.compile(rb"[ \t\r]++")
_PLAIN: Final = re.compile(rb"[^ \t\r\n\\]++")
_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
# Names that clients of Ollama give their own variables.
_CLIENT: Final = re.compile(r"OLLAMA_(?:\w*(?:URL|API|ENDPOINT)\w*|MODEL|\w+_MODEL|TIMEOUT|TEMPERATURE)", re.ASCII)


def read_assignments(
    data: bytes, file: SourceFile, base_offset: int = 0, dialect: str = Dialect.DOTENV, origin: str = ""
) -> Iterator[Setting]:
    """The variables of a text that stands in the file at an offset, in its order; the last of a name counts.

    Never raises: what is not an assignment is passed over, as its readers do.
    """
    return assignments(PlacedText.at(data, base_offset), file, dialect, origin)


def assignments(text: PlacedText, file: SourceFile, dialect: str, origin: str = "") -> Iterator[Setting]:
    """As `read_assignments`, of a text that was unquoted."""
    seen: dict[str, Setting] = {}
    data = text.data
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while at < len(data):
        name = _NAME.match(data, at)
        if name is None or (name["export"] and dialect != Dialect.DOTENV):
            at = _line_end(data, at) + 1
            continue
        key = name["name"].decode("ascii")
        if dialect == Dialect.SYSTEMD:
            value, written, at = _systemd_value(text, name.end())
        else:
            value, written, at = _value(text, name.end(), dialect == Dialect.DOCKER)
        refers = dialect == Dialect.DOTENV and data[name.end() : name.end() + 1] != b"'"
        setting = value_of(
            key, value, written, file, origin, (lambda other: seen.get(other, elsewhere(other))) if refers else None
        )
        seen[key] = setting
        yield setting


def shared_variables(file: SourceFile, tree: Tree, dialect: Dialect, origin: str, at: int) -> Iterator[Setting]:
    """Ollama's variables in an env file that many may read, which is parsed once for a tree. The settings are new.

    Raises TooLargeError, at the place that reads it, where too many do.
    """
    every = _SHARED.of(tree)[dialect].of(file)
    SETTINGS.of(tree).spend(len(every), at)
    for one in every:
        yield Setting(one.key, one.value, one.span, one.file, origin, one.is_literal)


def _variables(dialect: Dialect, file: SourceFile) -> list[Setting]:
    every = read_assignments(file.data, file, 0, dialect, "an env file")
    return [setting for setting in every if is_variable(setting.key)]


_SHARED: Final = OfTree(lambda _: {dialect: Kept(partial(_variables, dialect)) for dialect in Dialect})


def _line_end(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end


def _value(text: PlacedText, at: int, is_raw: bool) -> tuple[PlacedText, Span, int]:
    """The value behind `=`, where it stands with its quotes, and the index of the next line."""
    data = text.data
    end = _line_end(data, at)
    if is_raw:
        line = text.cut(at, end - data[at:end].endswith(b"\r"))
        return line, line.span, end + 1
    while data[at : at + 1] in (b" ", b"\t"):
        at += 1
    quoted = _QUOTED.get(data[at : at + 1])
    match = quoted.match(data, at) if quoted is not None else None
    if match is not None:
        inner = text.cut(match.start(1), match.end(1))
        if match[0].startswith(b'"'):
            inner = _unescaped(inner, _DOTENV_ESCAPE)
        return inner, text.cut(at, match.end()).span, _line_end(data, match.end()) + 1
    comment = _COMMENT.search(data, at, end)
    line = text.cut(at, end if comment is None else comment.start()).stripped()
    return line, line.span, end + 1


def _unescaped(text: PlacedText, escape: re.Pattern[bytes]) -> PlacedText:
    """A text in double quotes; what an escape stands for is its group, or by `_ESCAPES`."""
    parts, at = [], 0
    for match in escape.finditer(text.data):
        letter = match[1] or b""
        meant = _ESCAPES.get(letter, letter)
        parts.append(text.cut(at, match.start()))
        parts.append(PlacedText.written_as(meant, text.cut(match.start(), match.end()).span))
        at = match.end()
    return PlacedText.joined([*parts, text.cut(at)], text.place) if parts else text


def _systemd_value(text: PlacedText, at: int) -> tuple[PlacedText, Span, int]:
    """As `_value`. Quotes open at the start and behind a closed one, and may span lines; a backslash joins lines."""
    data, parts, begin = text.data, list[PlacedText](), None
    may_quote, blank, end = True, text.cut(at, at), at
    while at < len(data) and data[at : at + 1] != b"\n":
        run = _BLANK.match(data, at)
        if run is not None:
            # Inner white space counts, that before and behind a value does not.
            blank, at = text.cut(at, at if may_quote else run.end()), run.end()
            continue
        begin = at if begin is None else begin
        quoted = _QUOTED.get(data[at : at + 1])
        match = quoted.match(data, at) if quoted is not None and may_quote else None
        if match is not None:
            inner = text.cut(match.start(1), match.end(1))
            parts.append(_unescaped(inner, _SYSTEMD_ESCAPE) if match[0].startswith(b'"') else inner)
            at = end = match.end()
            continue
        joined = _JOINED_LINES.match(data, at)
        if joined is not None:
            at = joined.end()
            continue
        if data[at : at + 1] == b"\\":
            piece = PlacedText.written_as(data[at + 1 : at + 2], text.cut(at, at + 2).span)
            at += 2
        else:
            plain = _PLAIN.match(data, at)
            assert plain is not None  # what it leaves out was handled above
            piece, at = text.cut(at, plain.end()), plain.end()
        parts += [blank, piece]
        may_quote, blank, end = False, text.cut(at, at), at
    begin = end if begin is None else begin
    value = PlacedText.joined(parts, text.cut(begin).span.start)
    return value, text.cut(begin, end).span, at + 1


class EnvFiles:
    """Env files that are plainly an Ollama server's own, by their name and their names.

    An env file that a compose file, a unit or a script refers to is read by that one's source.
    """

    name = "env file"

    def accepts(self, file: SourceFile) -> bool:
        is_ours = _stem(file.path) is not None or (file.is_given and _is_env(file.path))
        return is_ours and (b"OLLAMA_" in file.data or b"LLAMA_ARG_" in file.data)

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        try:
            file.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
        yield from own_env_file(file.path, PlacedText.at(file.data, 0), file, is_named=file.is_given)


def own_env_file(
    path: str,
    text: PlacedText,
    file: SourceFile,
    filled: re.Pattern[bytes] | None = None,
    *,
    is_ollamas: bool = False,
    is_named: bool = False,
) -> Iterator[Subject]:
    """The server that an env file's text is for, where its `path` and names say so. Never raises.

    `filled` finds in a value what the text around it fills in (`$X` in a here-document). `is_ollamas`: it is known
    otherwise that an Ollama unit reads it. `is_named`: a person asks for this file, so that its variables are enough.
    """
    stem = _stem(path)
    if stem is None and not is_ollamas and not (is_named and _is_env(path)):
        return
    is_systemd = is_ollamas or any(f"{folder}/" in path for folder in _SYSTEMD_FOLDERS)
    settings = list(assignments(text, file, Dialect.SYSTEMD if is_systemd else Dialect.DOTENV))
    names = {setting.key for setting in settings}
    has_own_name = is_ollamas or (stem == "ollama" and not any(map(_CLIENT.fullmatch, names)))
    if not settings or not (names & SERVER_ONLY or has_own_name):
        return
    first, last = settings[0].span.start, _line_end(file.data, settings[-1].span.end)
    newline = "\r\n" if file.data[:last].endswith(b"\r") else "\n"
    subject = Subject(
        Kind.SERVER,
        path.rpartition("/")[2],
        file,
        Span(max(text.place, file.data.rfind(b"\n", 0, first) + 1), first),
        Style.BARE,
        insertion=Insertion(last - len(newline) + 1, newline, "=", ""),
        is_open=True,
    )
    for setting in settings:
        if filled is not None and filled.search(file.data, setting.span.start, setting.span.end):
            setting.value = Unknown(f"{setting.written} is filled in where the text is written")
            setting.is_literal = False
        subject.add(setting)
    yield subject


def _stem(path: str) -> str | None:
    """`ollama` for `ollama.env`, `.env.ollama`, `default/ollama` and the like; None where the name does not say it."""
    folder, name = _parts(path)
    if _is_env(path):
        stem = name.removesuffix(".env").removeprefix(".env").strip(".-_")
        return stem if "ollama" in stem else None
    if folder.rpartition("/")[2] in _SYSTEMD_FOLDERS and "ollama" in name:
        return name.removesuffix(".conf")
    return None


def _is_env(path: str) -> bool:
    name = _parts(path)[1]
    return name.endswith(".env") or name.startswith(".env")


def _parts(path: str) -> tuple[str, str]:
    """The folder and the name, without what a template's ends in."""
    folder, _, name = path.lower().rpartition("/")
    for suffix in _TEMPLATE_SUFFIXES:
        name = name.removesuffix(suffix)
    return folder, name
