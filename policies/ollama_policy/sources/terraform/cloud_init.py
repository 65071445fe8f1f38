"""What cloud-init does on a machine's first start: files that it writes, commands that it runs.

Facts: cloud-init's modules write_files (`path`, `content`, `encoding`), runcmd and bootcmd (a text is a line of a
script, a list is one command's words).
"""

import shlex
from collections.abc import Iterator
from typing import Final

from ollama_policy.model.settings import SourceFile, Span
from ollama_policy.sources.common.yaml_environment import placed
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import template_documents
from ollama_policy.sources.terraform.composed import Composed, Place

_COMMANDS: Final = ("bootcmd", "runcmd")


def texts(file: SourceFile) -> Iterator[tuple[Composed, str]]:
    """The texts in a `#cloud-config`, each with where it goes. Raises UnreadableError where it is not YAML."""
    for root in template_documents(file.data):
        box = root.get("write_files")
        for item in box.items if box is not None else ():
            content = item.get("content")
            if content is not None and content.is_scalar and item.text_at("encoding") in ("", "text/plain"):
                yield _text(content, file), item.text_at("path")
        for key in _COMMANDS:
            box = root.get(key)
            if box is not None and box.items:
                yield _script(box, file), "script.sh"


def _text(node: Node, file: SourceFile) -> Composed:
    """A scalar's text: a literal block line by line, any other as a whole where it has escapes or folds."""
    text = Composed()
    block = node.block
    if block is None:
        _add(text, node, file)
        return text
    data, at = block
    lines = data.splitlines(keepends=True)
    indent = next((len(line) - len(line.lstrip(b" ")) for line in lines if line.strip()), 0)
    for line in lines:
        taken = min(indent, len(line) - len(line.lstrip(b" ")))
        text.indents[at] = line[:taken]
        text.copy(file, at + taken, at + len(line))
        at += len(line)
    return text


def _add(text: Composed, node: Node, file: SourceFile) -> None:
    written = placed(node)
    span = written.span
    if node.verbatim is not None and span.end - span.start == len(written.data):
        text.copy(file, span.start, span.end)
    else:
        text.stand_in(written.text, Place(file, node.start, node.end))


def _script(box: Node, file: SourceFile) -> Composed:
    """Commands one behind the other, as cloud-init writes them into a script."""
    text = Composed()
    for item in box.items:
        place = Place(file, item.start, item.end)
        if item.is_scalar:
            _add(text, item, file) if item.block is None else _join(text, _text(item, file), file)
        for number, word in enumerate(item.items):
            text.stand_in(" " * bool(number) + shlex.quote(word.text), Place(file, word.start, word.end))
        text.stand_in("\n", place)
    return text


def _join(text: Composed, other: Composed, file: SourceFile) -> None:
    at = 0
    for line in other.data.splitlines(keepends=True):
        place = other.place(Span(at, at + len(line)))
        text.copy(file, place.start, place.end)
        at += len(line)
