"""A file of the findings that were there when the checker came: they are accepted, new ones are not.

An entry is known by rule, file, address and value, and how often it occurs: edits that move lines leave it as it is.
Files are relative to the baseline's folder. One entry stands on a line, so that merges stay readable.
"""

# ruff: noqa: PTH120

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from ollama_policy.errors import UnreadableError
from ollama_policy.model.result import Key, key_of
from ollama_policy.model.rule import Finding
from ollama_policy.model.settings import SourceFile, Span
from ollama_policy.pipeline.gitignore import relative_to
from ollama_policy.rules.checker_comments import StaleBaselineEntry

_VERSION = 1
_FIELDS = ("rule", "file", "address", "value")


def written(findings: Iterable[Finding], path: str) -> str:
    """The text of a baseline at this path that accepts these findings."""
    relative = relative_to(os.path.dirname(path) or os.curdir)
    counts = Counter(key_of(finding, relative) for finding in findings)
    entries = [
        json.dumps(dict(zip(_FIELDS, key, strict=True)) | {"count": count}) for key, count in sorted(counts.items())
    ]
    lines = ",\n".join(f"    {entry}" for entry in entries)
    body = f"[\n{lines}\n  ]" if entries else "[]"
    return f'{{\n  "version": {_VERSION},\n  "findings": {body}\n}}\n'


class Baseline:
    """The entries of a baseline file, each to be used up by the findings that it accepts."""

    def __init__(self, file: SourceFile) -> None:
        """Raises UnreadableError for a file that is not a baseline."""
        self._file = file
        self._relative = relative_to(os.path.dirname(file.path) or os.curdir)
        self._left: Counter[Key] = Counter()
        try:
            document = json.loads(file.text)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(getattr(error, "pos", 0), f"no JSON ({error})", "a baseline") from None
        if not isinstance(document, dict) or document.get("version") != _VERSION:
            raise UnreadableError(0, "no baseline", f'an object with "version": {_VERSION}')
        entries = document.get("findings")
        for entry in entries if isinstance(entries, list) else [None]:
            if not isinstance(entry, dict) or (key := _key(entry)) is None:
                raise UnreadableError(
                    0, "an entry that is not valid", 'each with "rule", "file", "address", "value", "count"'
                )
            self._left[key] += entry["count"]

    def accepts(self, finding: Finding) -> bool:
        """Whether the finding was there before; each entry accepts as many as it counts."""
        key = key_of(finding, self._relative)
        if self._left[key] <= 0:
            return False
        self._left[key] -= 1
        return True

    def stale(self, looked_at: Sequence[str] | None = None) -> list[Finding]:
        """The entries that no finding used; of these files only, where not the whole tree was looked at."""
        files = None if looked_at is None else {self._relative(path) for path in looked_at}
        return [
            Finding(
                StaleBaselineEntry,
                f"{rule} in {path} no longer occurs" if left == 1 else f"{rule} in {path} occurs {left} times less",
                self._file,
                self._spans.get((rule, path, address, value), Span(0, 1)),
                address,
                value=value,
            )
            for (rule, path, address, value), left in sorted(self._left.items())
            if left > 0 and (files is None or path in files)
        ]

    @cached_property
    def _spans(self) -> dict[Key, Span]:
        """The line of each entry, where the file is as we write it."""
        found: dict[Key, Span] = {}
        start = 0
        for line in self._file.data.split(b"\n"):
            try:
                key = _key(json.loads(line.strip().rstrip(b",")))
            except (ValueError, RecursionError):
                key = None
            if key is not None:
                indent = len(line) - len(line.lstrip())
                found.setdefault(key, Span(start + indent, start + len(line.rstrip(b"\r,"))))
            start += len(line) + 1
        return found


def _key(entry: Any) -> Key | None:
    if not isinstance(entry, dict):
        return None
    rule, path, address, value = (entry.get(name) for name in _FIELDS)
    count = entry.get("count")
    if not all(isinstance(part, str) for part in (rule, path, address, value)) or not isinstance(count, int):
        return None
    return str(rule), str(path), str(address), str(value)
