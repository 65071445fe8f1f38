"""Dockerfiles whose last stage runs Ollama: from its image, over stages of the file, or by starting `ollama serve`.

Read line by line as BuildKit does (Dockerfile reference): continuation and its `escape` directive, comments between
continued lines, here-documents, ARG before FROM. What `docker run` adds later is not known here.
"""

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model import images
from ollama_policy.model.settings import IMAGE, Insertion, Kind, Setting, SourceFile, Span, Style, Subject, Unknown
from ollama_policy.sources.common.budget import Budget
from ollama_policy.sources.common.environment import value_of
from ollama_policy.sources.common.file_names import ABOUT
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax.placed_text import PlacedText, split_words

_NAME: Final = re.compile(r"(?:.*\.)?(?:docker|container)file(?:\..*)?")
_DIRECTIVE: Final = re.compile(rb"#\s*escape\s*=\s*([\\`])\s*$", re.IGNORECASE)
_INSTRUCTION: Final = re.compile(rb"\s*([A-Za-z]+)(?:\s+|$)")
_HERE_DOCUMENT: Final = re.compile(rb"""(?<!<)<<-?\s*["']?([A-Za-z_][A-Za-z0-9_]*)["']?""")
_SERVES: Final = re.compile(rb"""ollama["',\s\[\]]+serve\b""")
_FLAG: Final = re.compile(rb"--[a-z-]+=\S+\s+")


@dataclass(slots=True)
class _Instruction:
    keyword: str
    value: PlacedText
    span: Span  # the keyword and all that follows, without the line's end
    documents: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Stage:
    base: Setting  # the image or the stage that it is from
    before: "_Stage | None"  # that stage
    keyword: Span
    instructions: list[_Instruction] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)  # of its ENV
    names: dict[str, Setting] = field(default_factory=dict)  # what a reference in it means


class Dockerfile:
    """The settings of the image that a Dockerfile builds."""

    name = "dockerfile"

    def accepts(self, file: SourceFile) -> bool:
        name = file.path.rpartition("/")[2].lower()
        return not name.endswith(ABOUT) and _NAME.fullmatch(name) is not None and b"ollama" in file.data.lower()

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        try:
            file.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(error.start, "bytes that are not UTF-8", "UTF-8") from None
        yield from read_dockerfile(file.data, file, 0, file.path.rpartition("/")[2])


def read_dockerfile(data: bytes, file: SourceFile, base_offset: int, address: str) -> Iterator[Subject]:
    """The server in a Dockerfile's text that stands in the file at an offset, where it runs one.

    Raises TooLargeError alone.
    """
    stages = _stages(PlacedText.at(data, base_offset), file)
    if not stages:
        return
    chain = [stages[-1]]
    while (before := chain[-1].before) is not None:
        chain.append(before)
    chain.reverse()
    root = chain[0].base
    is_ollamas = images.is_ollama(root.value if isinstance(root.value, str) else root.written)
    starts = [text for stage in chain for text in _started(stage)]
    if not is_ollamas and not any(_SERVES.search(text) for text in starts):
        return
    last = chain[-1]
    subject = Subject(
        Kind.SERVER,
        address,
        file,
        last.keyword,
        Style.BARE,
        insertion=_insertion(last, data, base_offset),
        is_open=True,
    )
    if is_ollamas:
        subject.add(root)
    for stage in chain:
        for setting in stage.settings:
            subject.add(setting)
    yield subject


def _started(stage: _Stage) -> Iterator[bytes]:
    """What is run while the image is built, written into its scripts, and started by it."""
    last: dict[str, bytes] = {}
    for instruction in stage.instructions:
        if instruction.keyword in ("RUN", "COPY"):
            yield instruction.value.data
            yield from instruction.documents
        elif instruction.keyword in ("ENTRYPOINT", "CMD"):
            last[instruction.keyword] = instruction.value.data
    yield b" ".join((last.get("ENTRYPOINT", b""), last.get("CMD", b"")))


def _insertion(stage: _Stage, data: bytes, base: int) -> Insertion:
    places = [instruction.span.end for instruction in stage.instructions if instruction.keyword == "ENV"]
    at = max(places, default=stage.base.span.end)
    line_end = data.find(b"\n", at - base)
    line_end = len(data) if line_end < 0 else line_end
    newline = "\r\n" if data[:line_end].endswith(b"\r") else "\n"
    return Insertion(base + line_end - len(newline) + 1, f"{newline}ENV ", "=", "")


def _stages(text: PlacedText, file: SourceFile) -> list[_Stage]:
    budget = Budget(len(text.data), "many stages, each with the variables of those before it")
    stages: list[_Stage] = []
    named: dict[str, _Stage] = {}  # by alias, in lower case, and by number
    arguments: dict[str, Setting] = {}  # of ARG before the first FROM
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            value = instruction.value
            at = 0
            while (flag := _FLAG.match(value.data, at)) is not None:
                at = flag.end()
            words = split_words(value.cut(at), _escape)
            if not words:
                continue
            image = words[0]
            base = value_of(IMAGE, image.text, image.span, file, "", _lookup(arguments, "ARG"))
            before = named.get(base.value.lower()) if isinstance(base.value, str) else None
            keyword = Span(instruction.span.start, instruction.span.start + len("FROM"))
            stage = _Stage(base, before, keyword)
            if before is not None:
                budget.spend(len(before.names), keyword.start)
                stage.names.update(before.names)
            named[str(len(stages))] = stage
            if len(words) > 2 and words[1].text.text.upper() == "AS":
                named[words[2].text.text.lower()] = stage
            stages.append(stage)
            continue
        if not stages:
            if instruction.keyword == "ARG":
                arguments.update(_argument(instruction.value, file, arguments, {}))
            continue
        stage = stages[-1]
        stage.instructions.append(instruction)
        if instruction.keyword == "ARG":
            for name, setting in _argument(instruction.value, file, stage.names, arguments).items():
                stage.names.setdefault(name, setting)  # ENV wins over ARG
        elif instruction.keyword == "ENV":
            new = list(_assignments(instruction.value, file, stage.names))
            stage.settings += new
            stage.names.update((setting.key, setting) for setting in new)
    return stages


def _argument(
    value: PlacedText, file: SourceFile, known: dict[str, Setting], outer: dict[str, Setting]
) -> dict[str, Setting]:
    """ARG's names. A default counts as the value; without one it is what was said before the first FROM."""
    found: dict[str, Setting] = {}
    for word in split_words(value, _escape):
        assignment = word.assignment()
        if assignment is not None:
            name, text, span = assignment
            found[name] = value_of(name, text, span, file, f"ARG {name}", _lookup(ChainMap(found, known), "ARG"))
        elif word.text.text in outer:
            found[word.text.text] = outer[word.text.text]
        else:
            reason = Unknown(f"ARG {word.text.text} has no default")
            found[word.text.text] = Setting(word.text.text, reason, word.span, file, is_literal=False)
    return found


def _lookup(known: Mapping[str, Setting], what: str) -> Callable[[str], Setting | Unknown]:
    return lambda name: known.get(name) or Unknown(f"${name} is no {what} of the file")


def _assignments(value: PlacedText, file: SourceFile, known: dict[str, Setting]) -> Iterator[Setting]:
    """ENV's pairs: `K=V K2="V 2"`, or the older `K all the rest`."""
    words = split_words(value, _escape)
    if not words:
        return
    first = words[0].text.data
    lookup = _lookup(known, "variable")
    if b"=" not in first:
        behind = value.data.split(maxsplit=1)[1:]  # as written: a name may have quotes, too
        rest = value.cut(len(value.data) - sum(map(len, behind))).stripped()
        quotes = rest.data[:1] if len(rest.data) > 1 and rest.data[:1] == rest.data[-1:] in (b'"', b"'") else b""
        inner = rest.cut(len(quotes), len(rest.data) - len(quotes))
        yield value_of(words[0].text.text, inner, rest.span, file, "", None if quotes == b"'" else lookup)
        return
    for word in words:
        assignment = word.assignment()
        if assignment is not None:
            name, text, span = assignment
            is_single = file.data[span.start : span.start + 1] == b"'"
            yield value_of(name, text, span, file, "", None if is_single else lookup)


def _escape(data: bytes, at: int, quote: bytes) -> tuple[bytes, int]:
    following = data[at + 1 : at + 2]
    if quote == b"'" or not following or (quote and following not in (b'"', b"\\", b"$")):
        return data[at : at + 1], 1
    return following, 2


def _instructions(text: PlacedText) -> Iterator[_Instruction]:
    data, at, escape, is_top = text.data, 0, b"\\", True
    if data.startswith(b"\xef\xbb\xbf"):
        at = 3
    while at < len(data):
        end, following = _line(data, at)
        directive = _DIRECTIVE.match(data[at:end]) if is_top else None
        if directive is not None:
            escape = directive[1]
        is_top = is_top and data[at:end].lstrip().startswith(b"#")
        if data[at:end].lstrip()[:1] in (b"#", b""):
            at = following
            continue
        begin, parts = at, list[PlacedText]()
        while True:
            line = data[at:end].rstrip()
            if data[at:end].lstrip()[:1] == b"#" or (parts and not line):
                pass  # a comment or an empty line between continued ones
            elif line.endswith(escape):
                parts.append(text.cut(at, at + len(line) - 1))
            else:
                parts.append(text.cut(at, at + len(line)))
                at = following
                break
            at = following
            if at >= len(data):
                break
            end, following = _line(data, at)
        whole = PlacedText.joined(parts, text.cut(begin, begin).place)
        match = _INSTRUCTION.match(whole.data)
        if match is None:
            continue
        keyword = match[1].decode("ascii").upper()
        instruction = _Instruction(keyword, whole.cut(match.end()), whole.cut(match.start(1)).span)
        if keyword in ("RUN", "COPY", "ADD"):
            for mark in _HERE_DOCUMENT.findall(whole.data):
                close = re.compile(rb"^\t*" + mark + rb"\r?$", re.MULTILINE).search(data, at)
                stop = len(data) if close is None else close.start()
                instruction.documents.append(data[at:stop])
                at = len(data) if close is None else _line(data, stop)[1]
        yield instruction


def _line(data: bytes, at: int) -> tuple[int, int]:
    """Where a line ends, without its end, and where the next begins."""
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end
    return end - data[at:end].endswith(b"\r"), end + 1
