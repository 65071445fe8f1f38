"""Values of variables that a file only half says: defaults in `${X:-5m}`, templates, references."""

import re
from collections.abc import Callable
from typing import Final

from ollama_policy.model.settings import MAX_VALUE, TOO_LARGE, Setting, SourceFile, Span, Unknown
from ollama_policy.sources.syntax.placed_text import PlacedText
from ollama_provider.ollama.settings.variables import VARIABLES

TEMPLATE: Final = re.compile(rb"\{\{|\{%|<%|@@[A-Za-z_]+@@")
REFERENCE: Final = re.compile(
    rb"\$(?:(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:?[-+?=])(?P<word>[^${}]*))?\})"
)

# Variables that only a server reads: whoever sets one means Ollama itself. The others are its clients' too.
SERVER_ONLY: Final = frozenset(VARIABLES) - {
    f"OLLAMA_{name}" for name in "HOST MODELS DEBUG EDITOR API_KEY AUTH NOHISTORY NO_CLOUD REMOTES TMPDIR".split()
}

# What the names of all variables begin with that Ollama or its runners may read.
PREFIXES: Final = ("OLLAMA_", "LLAMA_ARG_")

Lookup = Callable[[str], "Setting | Unknown"]
"""What a name stands for: a setting that says so, or why that is not known."""


def is_variable(name: str) -> bool:
    """Whether a variable is one that Ollama or its runners may read; others, secrets among them, are passed over."""
    return name.startswith(PREFIXES)


def elsewhere(name: str) -> Unknown:
    return Unknown(f"${name} is set elsewhere")


def filled_in(text: PlacedText) -> Unknown | None:
    """Why a value is not known, where a template's engine fills it in."""
    if TEMPLATE.search(text.data) is None:
        return None
    return Unknown(f"{text.text} is filled in by a template")


def value_of(key: str, value: PlacedText, span: Span, file: SourceFile, origin: str, lookup: Lookup | None) -> Setting:
    """The setting for a value without its quotes, standing at `span` with them.

    With `lookup`, `$X` and `${X:-default}` are references. One that is the whole value and has a default counts as its
    default, at the default's place: a fix may rewrite that.
    """
    unknown = filled_in(value)
    if unknown is not None:
        return Setting(key, unknown, span, file, origin, is_literal=False)
    if lookup is None or not (b"$" in value.data or b"`" in value.data):
        return Setting(key, value.text, span, file, origin)
    whole = REFERENCE.fullmatch(value.data)
    if whole is not None:
        return _referred(key, whole, value, span, file, origin, lookup)
    parts, at, size = list[str](), 0, 0
    for reference in REFERENCE.finditer(value.data):
        found = _referred(key, reference, value, span, file, origin, lookup)
        size += len(str(found.value))
        if size > MAX_VALUE:  # at once: each line may double the one before
            found.value = TOO_LARGE
        if isinstance(found.value, Unknown):
            return Setting(key, found.value, span, file, origin, is_literal=False)
        parts += [value.data[at : reference.start()].decode("utf-8", "replace"), str(found.value)]
        at = reference.end()
    parts.append(value.data[at:].decode("utf-8", "replace"))
    if any(mark in text for mark in "$`" for text in parts[::2]):
        return Setting(key, Unknown(f"{value.text} is put together when it runs"), span, file, origin, is_literal=False)
    return Setting(key, "".join(parts), span, file, origin, is_literal=False)


def _referred(
    key: str, match: re.Match[bytes], value: PlacedText, span: Span, file: SourceFile, origin: str, lookup: Lookup
) -> Setting:
    name = (match["bare"] or match["name"]).decode("ascii")
    how = match["how"] or b""
    found = lookup(name)
    if isinstance(found, Setting) and b"+" not in how:
        return Setting(key, found.value, found.span, found.file, origin or f"${name}", is_literal=False)
    if how in (b":-", b"-", b":=", b"=") and isinstance(found, Unknown):
        default = value.cut(match.start("word"), match.end("word"))
        return Setting(key, default.text, default.span, file, origin or f"the default of ${name}")
    reason = found if isinstance(found, Unknown) else Unknown(f"{match[0].decode()} depends on ${name}")
    return Setting(key, reason, span, file, origin, is_literal=False)
