"""systemd units, their drop-ins, Quadlet's containers, and templates of these.

As systemd reads them (systemd.syntax(7), systemd.exec(5)): quotes anywhere in a word, C escapes, `%` specifiers, an
empty assignment empties the list, a backslash joins lines, and files of `EnvironmentFile=` win over `Environment=`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model import images
from ollama_policy.model.settings import (
    GPU_COUNT,
    IMAGE,
    MEMORY_LIMIT,
    Insertion,
    Kind,
    Setting,
    SourceFile,
    Span,
    Style,
    Subject,
    Unknown,
)
from ollama_policy.sources.common.container_command import container_server
from ollama_policy.sources.common.env_files import Dialect, shared_variables
from ollama_policy.sources.common.environment import SERVER_ONLY, TEMPLATE, value_of
from ollama_policy.sources.common.kept import OfTree
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax.placed_text import PlacedText, Word, split_words
from ollama_provider.ollama.sizes import Convention, bytes_of

_TEMPLATE_SUFFIXES: Final = (".j2", ".tmpl", ".tpl", ".tftpl", ".in", ".template", ".erb")
_FILLED: Final = re.compile(rb"\$\{|@\w+@|<%")
_SUFFIXES: Final = (".service", ".conf", ".container")
_SECTION: Final = re.compile(rb"\[([A-Za-z]+)\]")
_ENTRY: Final = re.compile(rb"([A-Za-z]+)[ \t]*=[ \t]*")
_CONDITION: Final = re.compile(rb"\{%-?\s*(if|for|end(?:if|for)|el(?:se|if))\b")
_SERVES: Final = re.compile(rb"""ollama[\w.-]*(?:[^\n{}]{0,40}\}\})?["']?\s+serve\b""")
_DROP_IN: Final = re.compile(r"(?:^|/)(ollama(?:@[^/]*)?\.service)\.d/[^/]+$")
_LIMITS: Final = ("MemoryMax", "MemoryLimit", "Memory", "MemoryHigh")  # the first that is there counts
_ESCAPES: Final = dict(zip(b"abfnrtvs\\\"'", b"\a\b\f\n\r\t\v \\\"'", strict=True))


@dataclass(slots=True)
class _Entry:
    """`Key=value` of a section, its lines joined. `is_certain` is False under a template's condition."""

    section: str
    key: str
    value: PlacedText
    file: SourceFile
    is_certain: bool
    origin: str = ""


@dataclass(slots=True)
class _Unit:
    entries: list[_Entry] = field(default_factory=list)
    headers: dict[str, Span] = field(default_factory=dict)
    insertions: dict[str, Insertion] = field(default_factory=dict)

    def last(self, section: str, key: str) -> _Entry | None:
        found = [entry for entry in self.entries if (entry.section, entry.key) == (section, key)]
        return found[-1] if found else None


class Systemd:
    """Units that run Ollama: by what they start, or drop-ins of `ollama.service`."""

    name = "systemd"

    def accepts(self, file: SourceFile) -> bool:
        name = _without_template_suffix(file.path)
        if not name.endswith(_SUFFIXES) or (b"[Service]" not in file.data and b"[Container]" not in file.data):
            return False
        return "ollama" in file.path.lower() or b"ollama" in file.data.lower()

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        try:
            file.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
        unit = _parse(PlacedText.at(file.data, 0), file)
        drop_in = re.search(r"(?:^|/)([^/]+\.service)\.d/[^/]+$", file.path)
        if drop_in is not None and tree.sibling(file, f"../{drop_in[1]}") is not None:
            return  # the unit's own reading takes it up
        folder = f"{file.path}.d/"
        if file.path.endswith(".service"):
            for other in _DROP_INS.of(tree).get(folder, ()):
                more = _parse(PlacedText.at(other.data, 0), other)
                for entry in more.entries:
                    entry.origin = other.path
                unit.entries += more.entries
        address = drop_in[1] if drop_in is not None else _without_template_suffix(file.path.rpartition("/")[2])
        yield from _subjects(unit, file, address, tree, _FILLED if file.path.endswith(_TEMPLATE_SUFFIXES) else None)


def _confs(tree: Tree) -> dict[str, list[SourceFile]]:
    """The `.conf` files of a tree, by their folders."""
    found: dict[str, list[SourceFile]] = {}
    for file in tree.files((".conf",)):
        found.setdefault(file.path.rpartition("/")[0] + "/", []).append(file)
    return found


_DROP_INS: Final = OfTree(_confs)


def _without_template_suffix(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in _TEMPLATE_SUFFIXES if name.endswith(suffix)), name)


def read_unit(
    data: bytes,
    file: SourceFile,
    base_offset: int,
    address: str,
    *,
    path: str = "",
    filled: re.Pattern[bytes] | None = None,
) -> Iterator[Subject]:
    """The server that a unit's or a drop-in's text configures, where it runs Ollama; never raises.

    The text stands in the file at `base_offset`, indented or not. `path` is where it is going to be, which tells a
    drop-in of `ollama.service`; `filled` finds in a value what the text around it fills in (`$X` in a here-document).
    """
    yield from read_placed_unit(PlacedText.at(data, base_offset), file, address, path=path, filled=filled)


def read_placed_unit(
    text: PlacedText, file: SourceFile, address: str, *, path: str = "", filled: re.Pattern[bytes] | None = None
) -> Iterator[Subject]:
    """As `read_unit`, of a text that was unquoted."""
    yield from _subjects(_parse(text, file), file, address, None, filled, path)


def _parse(text: PlacedText, file: SourceFile) -> _Unit:
    unit, section, depth, at = _Unit(), "", 0, 0
    data = text.data
    while at < len(data):
        start = at
        line, at = _line(text, at)
        stripped = line.stripped()
        content = stripped.data
        for match in _CONDITION.finditer(content):
            depth = max(0, depth + {b"if": 1, b"for": 1, b"endif": -1, b"endfor": -1}.get(match[1], 0))
        if not content or content[0] in b"#;":
            continue
        header = _SECTION.fullmatch(content)
        if header is not None:
            section = header[1].decode("ascii")
            unit.headers.setdefault(section, stripped.span)
        else:
            entry = _ENTRY.match(content)
            if entry is None:
                continue
            key, value = entry[1].decode("ascii"), stripped.cut(entry.end())
            unit.entries.append(_Entry(section, key, value, file, depth == 0))
        if depth == 0 and (header is not None or key == "Environment"):
            indent = data[start : start + len(line.data) - len(line.data.lstrip())] if line.data else b""
            newline = "\r\n" if data[start:at].endswith(b"\r\n") else "\n"
            before = f'{newline}{indent.decode("utf-8", "replace")}Environment="'
            unit.insertions[section] = Insertion(stripped.span.end, before, "=", '"')
    return unit


def _line(text: PlacedText, at: int) -> tuple[PlacedText, int]:
    """A line with those that it is continued on, and the index of the next. Comments between them are passed over."""
    data, parts, begin = text.data, list[PlacedText](), at
    while True:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        stop = end - data[at:end].endswith(b"\r")
        if parts and data[at:stop].lstrip()[:1] in (b"#", b";"):
            at = end + 1
            if at >= len(data):
                break
            continue
        if not data[at:stop].endswith(b"\\") or (not parts and data[at:stop].lstrip()[:1] in (b"#", b";")):
            parts.append(text.cut(at, stop))
            break
        parts += [text.cut(at, stop - 1), PlacedText.written_as(b" ", text.cut(stop - 1, stop).span)]
        at = end + 1
        if at >= len(data):
            break
    return PlacedText.joined(parts, text.cut(begin, begin).place), end + 1


def _subjects(
    unit: _Unit,
    file: SourceFile,
    address: str,
    tree: Tree | None,
    filled: re.Pattern[bytes] | None,
    path: str = "",
) -> Iterator[Subject]:
    starts = [entry for entry in unit.entries if entry.section == "Service" and entry.key == "ExecStart"]
    image = unit.last("Container", "Image")
    where = path or file.path
    is_drop_in = False
    if image is not None:
        if not images.is_ollama(image.value.text):
            return
    elif not any(_SERVES.search(entry.value.data) for entry in starts):
        for entry in starts:
            words = split_words(entry.value, _escape)
            server = container_server(words, entry.file, tree, lambda name: Unknown(f"${name} is the unit's"))
            if server is not None:
                server.address = address
                yield server
                return
        # A drop-in need not say what it starts.
        is_drop_in = not any(entry.value.data for entry in starts)
        names = f"{where} {address}".lower()
        if not is_drop_in or not ("ollama" in names or "$" in where):
            return
    section = "Container" if image is not None else "Service"
    if section not in unit.headers:
        return
    subject = Subject(
        Kind.SERVER, address, file, unit.headers[section], Style.BARE, insertion=unit.insertions.get(section)
    )
    _add_environment(subject, unit, section, tree, filled)
    if is_drop_in:
        if not _DROP_IN.search(where) and not subject.settings.keys() & SERVER_ONLY:
            return  # not that of a client, though it lies among Ollama's files
        subject.is_open = True
    if image is not None:
        subject.add(_plain(IMAGE, image))
        for entry in unit.entries:
            if entry.section == "Container" and entry.key == "AddDevice" and b"nvidia.com/gpu=all" in entry.value.data:
                reason = Unknown("all GPUs of the machine are given to it")
                subject.add(Setting(GPU_COUNT, reason, entry.value.span, entry.file, is_literal=False))
    for key in _LIMITS:
        limit = unit.last(section, key) or unit.last("Service", key)
        if limit is not None and limit.value.data and limit.value.data != b"infinity":
            subject.add(_limit(limit))
            break
    yield subject


def _plain(key: str, entry: _Entry) -> Setting:
    setting = value_of(key, entry.value, entry.value.span, entry.file, entry.origin, None)
    return setting if entry.is_certain else _uncertain(setting)


def _uncertain(setting: Setting) -> Setting:
    return Setting(
        setting.key,
        Unknown("it is under a condition of the template"),
        setting.span,
        setting.file,
        setting.origin,
        False,
    )


def _limit(entry: _Entry) -> Setting:
    setting = _plain(MEMORY_LIMIT, entry)
    if isinstance(setting.value, str):
        size = bytes_of(setting.value, Convention.SYSTEMD)
        is_relative = setting.value == "infinity" or setting.value.endswith("%")
        reason = "depends on the machine" if is_relative else "is not a size: systemd ignores it"
        setting.value = Unknown(f"{entry.key}={setting.value} {reason}") if size is None else size
    return setting


def _add_environment(
    subject: Subject, unit: _Unit, section: str, tree: Tree | None, filled: re.Pattern[bytes] | None
) -> None:
    own: list[Setting] = []
    files: list[_Entry] = []
    for entry in unit.entries:
        if entry.section != section:
            continue
        match entry.key:
            case "Environment" if not entry.value.data:
                own.clear()
            case "Environment":
                for word in split_words(entry.value, _escape):
                    setting = _setting(word, entry, filled)
                    if setting is not None:
                        own.append(setting)
                    elif TEMPLATE.search(word.text.data):
                        subject.unknown = Unknown(f"{word.text.text} is filled in by a template")
            case "EnvironmentFile" if not entry.value.data:
                files.clear()
            case "EnvironmentFile":
                files.append(entry)
            case "PassEnvironment":
                for word in split_words(entry.value, _escape):
                    reason = Unknown("it is passed on from what starts the unit")
                    own.append(Setting(word.text.text, reason, word.span, entry.file, entry.origin, is_literal=False))
            case "UnsetEnvironment":
                names = {word.text.text for word in split_words(entry.value, _escape)}
                own = [setting for setting in own if setting.key not in names]
            case _:
                pass
    for setting in own:
        subject.add(setting)
    for entry in files:
        name = entry.value.text.removeprefix("-")
        found = _environment_file(name, subject.file, tree) if entry.is_certain else None
        if found is None or tree is None:
            subject.unknown = Unknown(f"the environment file {name} is not in the tree")
            continue
        for setting in shared_variables(found, tree, Dialect.SYSTEMD, f"EnvironmentFile={name}", subject.span.start):
            subject.add(setting)


def _setting(word: Word, entry: _Entry, filled: re.Pattern[bytes] | None) -> Setting | None:
    assignment = word.assignment()
    if assignment is None or not assignment[0].isidentifier():
        return None
    key, value, span = assignment
    setting = value_of(key, value, span, entry.file, entry.origin, None)
    if isinstance(setting.value, Unknown):
        return setting
    reason = None
    if not word.is_closed:
        reason = "its quote has no end, and systemd passes over the rest of the line"
    elif filled is not None and filled.search(value.data):
        reason = f"{value.text} is filled in where the text is written"
    elif b"%" in value.data.replace(b"%%", b""):
        reason = f"{value.text} has a specifier"
    elif not entry.is_certain:
        return _uncertain(setting)
    if reason is not None:
        return Setting(key, Unknown(reason), span, entry.file, entry.origin, is_literal=False)
    setting.value = setting.value.replace("%%", "%")
    return setting


def _escape(data: bytes, at: int, quote: bytes) -> tuple[bytes, int]:
    meant = _ESCAPES.get(data[at + 1]) if at + 1 < len(data) else None
    return (data[at : at + 1], 1) if meant is None else (bytes((meant,)), 2)


def _environment_file(name: str, file: SourceFile, tree: Tree | None) -> SourceFile | None:
    """The file where the tree mirrors a root (`files/etc/systemd/system/…`), or of that name beside the unit."""
    if tree is None or not name or "%" in name or "{" in name:
        return None
    root = re.search(r"(?:^|/)(?:etc|usr|lib)/.*$", file.path)
    if root is not None and name.startswith("/"):
        up = "../" * root[0].strip("/").count("/")
        found = tree.sibling(file, f"{up}{name.lstrip('/')}")
        if found is not None:
            return found
    base = name.rpartition("/")[2]
    return tree.sibling(file, base) if "." in base else None  # `ollama` beside a unit may be the program itself
