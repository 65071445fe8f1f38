"""What happened, as one line of the log says it."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

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
