"""Templates, in HCL's quotes and here-documents: escapes, indentation, and what is interpolated."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.blocks import of_type
from ollama_policy.sources.terraform.language.operators import LARGE
from ollama_policy.sources.terraform.language.values import MAX_TEXT, Invalid

ESCAPES: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt"\\]))|\$\$\{|%%\{')
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


MARKS: Final = {
    "template_interpolation": "value",
    "template_if_intro": "if",
    "template_else_intro": "else",
    "template_if_end": "endif",
    "template_for_start": "for",
    "template_for_end": "endfor",
}
_BRANCHES: Final = frozenset({"template_directive", "template_if", "template_for"})


@dataclass(slots=True)
class Part:
    kind: str  # text, value, if, else, endif, for, endfor
    node: Any = None
    text: str = ""


def unescape(found: re.Match[str]) -> str:
    if found[3]:
        return _ESCAPED[found[3]]
    if digits := found[1] or found[2]:
        code = int(digits, 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return found[0][1:]


def cut_line_end(parts: list[Part]) -> None:
    if parts and parts[-1].kind == "text":
        parts[-1].text = parts[-1].text.removesuffix("\n")
        if not parts[-1].text:
            parts.pop()


def outdent(parts: list[Part]) -> None:
    """Takes away what all lines of a `<<-` here-document are indented by; lines of spaces alone do not count."""
    least, starts, is_start = None, [], True
    for part in parts:
        if is_start:
            is_start = False
            text = part.text if part.kind == "text" else ""
            stripped = text.lstrip()
            if part.kind != "text" or stripped or not text.endswith("\n"):
                indent = len(text) - len(stripped)
                least = indent if least is None else min(least, indent)
                if part.kind == "text":
                    starts.append(part)
        if part.kind == "text" and part.text.endswith("\n"):
            is_start = True
    for part in starts:
        part.text = part.text[least or 0 :]


def marks_of(node: Any) -> list[Any]:
    """A template's interpolations and the marks of its directives, in the order of the text: of a kind in `MARKS`."""
    marks: list[Any] = []
    waiting = list(reversed(node.children))
    while waiting:
        child = waiting.pop()
        if child.type in MARKS:
            marks.append(child)
        elif child.type in _BRANCHES:
            waiting += reversed(child.children)
    return marks


def rendered(parts: list[Part], value_of: Callable[[Any], Any]) -> Any:
    """The text of a template, or what is alone in it. `value_of` works an interpolation out."""
    if len(parts) == 1 and parts[0].kind == "value":
        return value_of(parts[0].node)
    out: list[str] = []
    unknown, at = _render(parts, 0, out, value_of)
    if unknown is None and at < len(parts):
        return Unknown("a template that is not understood")
    text = "".join(out)
    return unknown if unknown is not None else text if len(text) <= MAX_TEXT else LARGE


def _render(parts: list[Part], at: int, out: list[str], value_of: Callable[[Any], Any]) -> tuple[Unknown | None, int]:
    """Writes parts up to the mark that ends them; answers where that is."""
    while at < len(parts):
        part = parts[at]
        if part.kind == "text":
            out.append(part.text)
        elif part.kind == "value":
            text = values.to_text(value_of(part.node))
            if not isinstance(text, str):
                return (text if isinstance(text, Unknown) else Invalid("null in a template")), at
            out.append(text)
        elif part.kind == "if":
            condition = values.to_bool(value_of(part.node))
            if not isinstance(condition, bool):
                return (condition if isinstance(condition, Unknown) else Invalid("null as a condition")), at
            branches: list[list[str]] = [[], []]
            unknown, at = _render(parts, at + 1, branches[0], value_of)
            if unknown is None and at < len(parts) and parts[at].kind == "else":
                unknown, at = _render(parts, at + 1, branches[1], value_of)
            if unknown is not None:
                return unknown, at
            out += branches[0] if condition else branches[1]
        elif part.kind == "for":
            return Unknown("a loop in a template"), at
        else:
            return None, at
        at += 1
    return None, at


def parts_of(data: bytes, node: Any, start: int, end: int, *, is_quoted: bool) -> list[Part]:
    """A template as a flat list of texts, values and the marks of its directives."""
    marks = marks_of(node)
    parts: list[Part] = []
    at, eat = start, False
    for mark in [*marks, None]:
        stop = end if mark is None else mark.start_byte
        for text in _texts(data, at, stop, is_quoted=is_quoted):
            parts.append(Part("text", text=text.lstrip() if eat else text))
            eat = False
        if mark is not None:
            eat = False
            strips = [(strip.start_byte, strip.end_byte) for strip in of_type(mark, "strip_marker")]
            eats_back = any(data[low - 2 : low] in (b"${", b"%{") for low, _ in strips)
            if eats_back and parts and parts[-1].kind == "text":
                parts[-1].text = parts[-1].text.rstrip()
            eat = any(data[high : high + 1] == b"}" for _, high in strips)
            parts.append(Part(MARKS[mark.type], mark))
            at = mark.end_byte
    return parts


def _texts(data: bytes, start: int, end: int, *, is_quoted: bool) -> list[str]:
    text = data[start:end].decode("utf-8", "replace")
    if is_quoted:
        return [ESCAPES.sub(unescape, text)] if text else []
    return [line.replace("$${", "${").replace("%%{", "%{") for line in text.splitlines(keepends=True)]
