"""The body of a call of Ollama's API, written as JSON somewhere in a file."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Setting, SourceFile, Unknown
from ollama_policy.sources.common.environment import REFERENCE, Lookup, filled_in, value_of
from ollama_policy.sources.syntax.json_spans import JsonNode, parse
from ollama_policy.sources.syntax.placed_text import PlacedText

PATH: Final = re.compile(
    rb"/(?:api/(?:generate|chat|embed|embeddings|create|pull)|v1/(?:chat/completions|completions|embeddings|messages|responses))"
    rb"(?=[?#]|/?$)"
)
_BARE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(' + REFERENCE.pattern + rb")", re.DOTALL)
_RUN_TIME: Final = re.compile(r"\$[A-Za-z_{(]|`")


def body_settings(body: PlacedText, file: SourceFile, lookup: Lookup | None) -> Iterator[Setting]:
    """The fields of a JSON body, its options flattened: `options.num_ctx`. Raises UnreadableError where it is none.

    With `lookup`, `$X` in a text or in a value's place is a shell's reference.
    """
    text = body if lookup is None else _with_references_as_texts(body)
    root = parse(text.data)
    if not isinstance(root.value, dict):
        raise UnreadableError(root.start, "a body that is not an object", "an object")
    for key, node in root.members:
        if lookup is not None and _RUN_TIME.search(key.value):
            raise UnreadableError(key.start, "a key that is filled in when it runs")
        if key.value == "options" and isinstance(node.value, dict):
            for option, value in node.members:
                yield _setting(f"options.{option.value}", value, text, file, lookup)
        else:
            yield _setting(str(key.value), node, text, file, lookup)


def _with_references_as_texts(body: PlacedText) -> PlacedText:
    """References in the place of a value become texts: JSON again, at the reference's place."""
    parts, at = [], 0
    for match in _BARE.finditer(body.data):
        if match[1] is not None:
            place = body.cut(*match.span(1)).span
            parts += [body.cut(at, match.start()), PlacedText.written_as(b'"' + match[1] + b'"', place)]
            at = match.end()
    return PlacedText.joined([*parts, body.cut(at)], body.place) if parts else body


def _setting(key: str, node: JsonNode, text: PlacedText, file: SourceFile, lookup: Lookup | None) -> Setting:
    span = text.cut(node.start, node.end).span
    written = file.data[span.start : span.end]
    value: Any = node.value
    if lookup is None or not isinstance(value, str):
        unknown = _filled_in_later(value) if lookup is not None else None
        return Setting(
            key, value if unknown is None else unknown, span, file, is_literal=unknown is None and written[:1] != b"\\"
        )
    if not _RUN_TIME.search(value):
        unknown = filled_in(PlacedText.at(written, span.start))
        return Setting(key, unknown or value, span, file, is_literal=written[:1] not in (b"\\", b"$"))
    inner = text.cut(node.start + 1, node.end - 1)
    if written[:1] != b"$":
        return value_of(key, inner, span, file, "", lookup)
    # In the place of a value: what the reference stands for is JSON itself.
    setting = value_of(key, PlacedText.at(written, span.start), span, file, "", lookup)
    if isinstance(setting.value, str):
        try:
            setting.value = json.loads(setting.value)
        except (ValueError, RecursionError):
            setting.value = Unknown(f"{setting.value} is not a JSON value")
    return setting


def _filled_in_later(value: Any) -> Unknown | None:
    """Why a list or an object is not known whole."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str) and _RUN_TIME.search(item):
            return Unknown("a part of it is filled in when it runs")
        pending += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
    return None
