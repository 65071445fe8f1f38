"""YAML that a template's engine has still to fill in: Helm's and Go's `{{ }}`, Jinja's `{% %}` and `{# #}`.

Nothing is evaluated. An action takes up as many bytes as before, so that places stay: one that stands for text becomes
letters, one that decides what is there, or that stands alone on its lines, becomes spaces.
"""

import re
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.syntax.yaml_documents import documents
from ollama_policy.sources.syntax.yaml_nodes import Node

_OPENS: Final = re.compile(rb"\{\{|\{%|(?<!\$)\{#")
_CLOSES: Final = {b"{{": b"}}", b"{%": b"%}", b"{#": b"#}"}
_DECIDES: Final = re.compile(
    rb"\{\{-?\s*(?:(?:if|else|end|with|range|define|block|template|break|continue)\b|/\*|\$\w*\s*:?=)|\{[%#]"
)
_NAMES_IMAGE: Final = re.compile(rb"image[\"']?:[ \t]*[\"']?[^\s{\"']{0,200}ollama/ollama\b")
_LINES: Final = re.compile(rb"n?indent\b|toYaml\b")


def template_documents(data: bytes, base_offset: int = 0) -> list[Node]:
    """The documents of a text that may be a template. Raises UnreadableError where it is not YAML even without it."""
    actions = _actions(data) if any(mark in data for mark in _CLOSES) else []
    if not actions:
        return documents(data, base_offset)
    filled, gaps = _filled(data, actions)
    return documents(filled, base_offset, data, actions, gaps)


def file_documents(file: SourceFile) -> list[Node]:
    """The documents of a whole file; none where it is a template that is not YAML and names no image of Ollama.

    Many a template is not YAML without its actions. Raises UnreadableError for all else that does not parse.
    """
    try:
        return template_documents(file.data)
    except UnreadableError:
        if _actions(file.data) and not _NAMES_IMAGE.search(file.data):
            return []
        raise


def _actions(data: bytes) -> list[tuple[int, int]]:
    found, at = [], 0
    missing: set[bytes] = set()
    while (opening := _OPENS.search(data, at)) is not None:
        kind = opening[0]
        close = -1 if kind in missing else data.find(_CLOSES[kind], opening.end())
        if close < 0:
            missing.add(kind)
            at = opening.end()
            if len(missing) == len(_CLOSES):
                break
            continue
        at = close + 2
        found.append((opening.start(), at))
    return found


def _filled(data: bytes, actions: list[tuple[int, int]]) -> tuple[bytes, list[tuple[int, int]]]:
    """The text without its actions, and those that decide more than a value: what is there, or what its name is."""
    parts, gaps, at = list[bytes](), list[tuple[int, int]](), 0
    groups = _neighbours(data, actions)
    for group, following in zip(groups, [*groups[1:], [(len(data), len(data))]], strict=True):
        before, after = data[at : group[0][0]], data[group[-1][1] : following[0][0]]
        head = before.rpartition(b"\n")[2] if b"\n" in before or at == 0 else b"x"
        is_first = not head.strip()
        is_name = not head.strip(b"- \t\"'")
        is_last = not after.partition(b"\n")[0].strip() and (b"\n" in after or following[0][0] == len(data))
        for start, end in group:
            action = data[start:end]
            is_text = data[start - 1 : start] in (b'"', b"'")
            is_blank = (is_first and is_last) or _DECIDES.match(action) or (not is_text and _LINES.search(action))
            if is_blank or is_name or b"\n" in action:
                gaps.append((start, end))
            parts.append(data[at:start])
            parts.append(re.sub(rb"[^\r\n]", b" ", action) if is_blank else b"x" * len(action))
            at = end
    return b"".join([*parts, data[at:]]), gaps


def _neighbours(data: bytes, actions: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Actions with nothing but spaces between them, together."""
    groups: list[list[tuple[int, int]]] = []
    for action in actions:
        if groups and not data[groups[-1][-1][1] : action[0]].strip(b" \t"):
            groups[-1].append(action)
        else:
            groups.append([action])
    return groups
