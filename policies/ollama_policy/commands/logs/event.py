"""What happened, as one line of the log says it."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

MIB: Final = 2**20
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,3})?) ?([KMGT]?)i?B")
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_UNITS: Final = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_CREDENTIALS: Final = re.compile(rb"(://)[^/\s@]*@")
_LONGEST: Final = 2048  # bytes of a line that are kept to be shown


class Kind(StrEnum):
    START = "start"  # of the server
    LOAD = "load"  # a runner is in memory
    FAILED = "failed"  # a load that came to nothing
    RETRY = "retry"  # a load that did not fit, tried again with less
    LIMITED = "limited"  # loaded with less context, or for fewer calls at once, than Ollama was set to
    CACHE = "cache"  # what a runner keeps of earlier prompts has grown, or has reached its bound
    EVICTED = "evicted"  # put out for another model
    RELOAD = "reload"  # put out to come back with other options
    EXPIRED = "expired"  # keep_alive ran out
    UNLOADED = "unloaded"  # its memory was given back
    GONE = "gone"  # out of memory by the count of runners, and no line says why
    DIED = "died"  # a runner that ended by itself
    OOM = "oom"  # memory ran out during an answer, and Ollama put out every model
    KEPT = "kept"  # memory that did not come back
    PINNED = "pinned"  # never released by itself
    TRUNCATED = "truncated"  # a prompt longer than the context
    SHIFTED = "shifted"  # a context that was full, and lost its older half
    CALL = "call"  # a request that was slow, or that failed
    IGNORED = "ignored"  # a setting that Ollama does not take
    ALARM = "alarm"  # the story's line


class Place(NamedTuple):
    """A line of the log: its number from 1, the beginning of it as it stands, and when it was written, or ""."""

    number: int
    raw: bytes
    at: str = ""

    @classmethod
    def of(cls, number: int, raw: bytes, at: str) -> "Place":
        """Without the user and password of an address: the line of the configuration has those of proxies."""
        return cls(number, _CREDENTIALS.sub(rb"\1***@", raw[:_LONGEST]), at)


class Event(NamedTuple):
    """`model` is the digest of a runner's weights, or "" where the line does not say and nothing else does.

    `cause` is a word for programs; `facts` are the line's own figures.
    """

    kind: Kind
    place: Place
    text: str
    model: str = ""
    cause: str = ""
    facts: Mapping[str, Any] = {}


def size(text: str) -> int | None:
    """Bytes of what Ollama writes as `512.0 KiB`: rounded there to a tenth."""
    found = _SIZE.fullmatch(text)
    return None if found is None else round(float(found[1]) * 1024 ** _POWERS[found[2]])


def human(count: int) -> str:
    """Bytes as Ollama writes them: format.HumanBytes2."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
