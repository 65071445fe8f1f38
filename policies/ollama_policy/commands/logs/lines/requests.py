"""GIN's lines, one for each request that ended. They never name the model.

[GIN] 2026/11/25 - 03:04:29 | 200 | 4.57608709s | 10.0.0.7 | POST "/api/chat"
"""

import re
from typing import Final, NamedTuple

# Paths whose requests run a model. Downloads and uploads take what they take.
_CALLS: Final = re.compile(
    rb"/(?:api/(?:generate|chat|embed|embeddings)|v1/(?:chat/completions|completions|embeddings|responses|messages))(?:\?|$)"
)
_LINE: Final = re.compile(
    rb'\[GIN\] (\d{4})/(\d\d)/(\d\d) - (\d\d:\d\d:\d\d) \|[^0-9|]*(\d{3})[^0-9|]*\| *([^| ]+) *\|[^|]*\|.*? "([^"]*)"'
)
_OF_OLLAMA: Final = re.compile(rb'"(?:/|/api/[a-z].*|/v1/[a-z].*)"')
_LATENCY: Final = re.compile("(\\d{1,12}(?:\\.\\d{1,12})?)(h|ms|m|\u00b5s|ns|s)")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "\u00b5s": 1e-6, "ns": 1e-9}


class Request(NamedTuple):
    """A request that ran a model; `at` is in the server's local time, `seconds` how long it took."""

    at: str
    status: int
    seconds: float
    path: str


def request(line: bytes) -> Request | None:
    """The request of a line that begins with `[GIN] `; None where it is none that runs a model."""
    found = _LINE.match(line)
    if found is None or not _CALLS.match(found[7]):
        return None
    seconds = sum(
        float(number) * _UNITS[unit] for number, unit in _LATENCY.findall(found[6].decode("utf-8", "replace"))
    )
    year, month, day, time = (part.decode() for part in found.groups()[:4])
    path = found[7].partition(b"?")[0].decode("ascii", "replace")
    return Request(f"{year}-{month}-{day}T{time}", int(found[5]), seconds, path)


def is_ollamas(line: bytes) -> bool:
    """Whether a line of GIN's can be Ollama's: other programs use GIN too."""
    return _OF_OLLAMA.search(line, 40, 4096) is not None
