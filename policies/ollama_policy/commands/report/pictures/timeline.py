"""When the calls, loads and releases of a probe were."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ollama_policy.commands.probe.account import Account
from ollama_policy.commands.probe.probing import REPEATED, Sample

_EVENTS = {
    "load": "loaded",
    "idle": "idle",
    "expiry": "released: timer ran out",
    "reload": "loaded again",
    "unload": "released: unloaded",
}


class Round(NamedTuple):
    """The calls `first` to `last`, made at once; seconds since the start of the probe."""

    first: int
    last: int
    start: float
    end: float
    phase: str

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Event(NamedTuple):
    seconds: float
    words: str


def rounds(samples: Sequence[Sample]) -> Iterator[Round]:
    before: Sample | None = None
    for sample in samples:
        if not sample.is_call:
            continue
        if sample.moment == "before":
            before = sample
        elif sample.moment == "after" and before is not None:
            yield Round(before.call + 1, sample.call, before.seconds, sample.seconds, sample.phase)
            before = None


def was_loaded_before(account: Account) -> bool:
    before = account.of_phase("before")
    return before is not None and before.ps_size > 0


def events(account: Account) -> list[Event]:
    """Loads and releases, each at the moment when it had settled, and where the prompts no longer differ."""
    found = []
    turn = next((sample for sample in account.samples if sample.phase == REPEATED), None)
    for sample in account.samples:
        if sample is turn:
            found.append(Event(sample.seconds, "from here one prompt"))
        words = _EVENTS.get(sample.phase)
        if sample.phase == "load" and was_loaded_before(account):
            words = "was loaded before"
        if words is not None and sample.moment == "settled":
            found.append(Event(sample.seconds, words))
    return found
