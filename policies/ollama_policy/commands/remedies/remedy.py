"""A remedy as a value, and the order that remedies are told in."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from ollama_policy.commands.remedies.facts import Edit


class Document(StrEnum):
    """The rows of the story's matrix."""

    MANUAL = "1 manual memory management"
    NEWEST = "2 newest version"
    LESS = "3 less memory used"


class Kind(StrEnum):
    """The catalogue: what there is to recommend, here and in the report."""

    ORPHAN = "orphan"
    UNDECLARED = "undeclared"
    ABSENT = "absent"
    KEEP_ALIVE = "keep-alive"
    MANUAL = "manual"
    RELOAD = "reload"
    PROMPT_CACHE = "prompt-cache"
    CONTEXT = "context"
    PARALLEL = "parallel"
    KV_CACHE = "kv-cache"
    VERSION = "version"
    RESTART = "restart"  # where a probe measured growth in the server's own process: `report` alone tells it


class Gain(NamedTuple):
    """Bytes that a remedy would give back: `how` they are known, or why they are not (`bytes` is None then).

    `is_at_most`: they are a bound of what may be held, not what is. `later` is what it prevents, beside them.
    """

    bytes: int | None
    how: str
    is_at_most: bool = False
    later: str = ""

    @property
    def with_later(self) -> str:
        return f"{self.how}; {self.later}" if self.later else self.how


class Remedy(NamedTuple):
    """`target` is a model or "the server". `commands` are to be pasted, `edits` are what the checker's fixes write."""

    id: Kind
    title: str
    target: str
    gain: Gain
    row: Document
    is_recommended: bool
    why: str
    cost: str
    risk: str
    commands: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()

    @property
    def is_of_the_document(self) -> bool:
        """Whether the story itself recommends it: to update, and to switch to manual."""
        return self.id in (Kind.VERSION, Kind.MANUAL)


SERVER = "the server"
HELD_BY_PROCESS = "measured: anonymous and swapped memory of its runner's process"
HELD = "by /api/ps, Ollama's own count of what it holds"


def in_order(remedies: Iterable[Remedy]) -> list[Remedy]:
    """The recommended first, then by bytes; what is not known comes last."""

    def key(one: Remedy) -> tuple[bool, int, str, str]:
        return not one.is_recommended, -1 * (-1 if one.gain.bytes is None else one.gain.bytes), one.id, one.target

    return sorted(remedies, key=key)
