"""What compose makes of `$X`, `${X:-default}` and `$$` (the interpolation page of the compose specification)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ollama_policy.model.settings import Setting, SourceFile, Span, Unknown
from ollama_policy.sources.syntax.placed_text import PlacedText

Lookup = Callable[[str], Setting | None]
"""What the project's `.env` says of a name; None where it says nothing."""

_MAX_DEPTH: Final = 16
_REFERENCE: Final = re.compile(rb"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*+)|\{(?P<name>[A-Za-z_]\w*+))", re.ASCII)
_OPERATOR: Final = re.compile(rb":?[-?+]")
_BRACE: Final = re.compile(rb"\$\{|\}")


@dataclass(frozen=True, slots=True)
class _Meant:
    """A part's value, and where it stands as it is, if it does."""

    value: str | Unknown
    span: Span | None = None
    file: SourceFile | None = None
    origin: str = ""


def interpolated(
    key: str, text: PlacedText, span: Span, file: SourceFile, origin: str, is_literal: bool, lookup: Lookup
) -> Setting:
    """The setting for a text that stands at `span`, quotes included.

    A reference that is all of it takes the place of what it means: the default, or the value in `.env`. A fix rewrites
    neither: a default stands inside quotes, or not, and others may read `.env`.
    """
    if b"$" not in text.data:
        return Setting(key, text.text, span, file, origin, is_literal)
    meant = _meant(text, lookup, 0)
    origins = ", ".join(filter(None, (origin, meant.origin)))
    return Setting(key, meant.value, meant.span or span, meant.file or file, origins, is_literal=False)


def _meant(text: PlacedText, lookup: Lookup, depth: int) -> _Meant:
    data, at = text.data, 0
    parts: list[str] = []
    origins: list[str] = []
    while at < len(data):
        dollar = data.find(b"$", at)
        if dollar < 0:
            break
        parts.append(data[at:dollar].decode("utf-8", "replace"))
        match = _REFERENCE.match(data, dollar)
        if match is None or depth > _MAX_DEPTH:
            return _Meant(Unknown(f"{text.text} holds no reference that compose knows"))
        if match["dollar"]:
            parts.append("$")
            at = match.end()
            continue
        at = match.end() if match["bare"] else _close(data, match.end())
        if at < 0:
            return _Meant(Unknown(f"{text.text} has a brace without an end"))
        meant = _reference(text, match, at, lookup, depth)
        if isinstance(meant.value, Unknown) or (dollar == 0 and at == len(data)):
            return meant
        parts.append(meant.value)
        origins.append(meant.origin)
    parts.append(data[at:].decode("utf-8", "replace"))
    is_whole = not origins and len(parts) == 1
    return _Meant("".join(parts), text.span if is_whole else None, None, ", ".join(filter(None, origins)))


def _close(data: bytes, at: int) -> int:
    """The byte behind the brace that ends a reference; -1 where there is none."""
    depth = 1
    for match in _BRACE.finditer(data, at):
        depth += 1 if match[0] == b"${" else -1
        if depth == 0:
            return match.end()
    return -1


def _reference(text: PlacedText, match: re.Match[bytes], end: int, lookup: Lookup, depth: int) -> _Meant:
    name = (match["bare"] or match["name"]).decode()
    rest = text.data[match.end() : end - 1] if match["name"] else b""
    operator = _OPERATOR.match(rest)
    if rest and operator is None:
        return _Meant(Unknown(f"{text.text} holds no reference that compose knows"))
    how = operator[0] if operator is not None else b""
    word = text.cut(match.end() + len(how), end - 1)
    found = lookup(name)
    is_set = found is not None and not (how.startswith(b":") and found.value == "")
    if how.endswith(b"+"):
        if found is None or isinstance(found.value, Unknown):
            return _Meant(Unknown(f"whether ${name} is set is decided elsewhere"))
        return _meant(word, lookup, depth + 1) if is_set else _Meant("")
    if found is not None and is_set:
        if isinstance(found.value, Unknown):
            return _Meant(found.value)
        return _Meant(str(found.value), found.span, found.file, f"${name} in {found.file.path.rpartition('/')[2]}")
    if how.endswith(b"-"):
        meant = _meant(word, lookup, depth + 1)
        origin = f"the default of ${name}"
        return _Meant(meant.value, meant.span or word.span, meant.file, meant.origin or origin)
    return _Meant(Unknown(f"${name} is set elsewhere"))
