"""Events in their order, model by model, in a memory that does not grow with the log."""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from ollama_policy.commands.logs.event import Event, Kind

MOST_EVENTS: Final = 1000  # of one model that are kept, the latest
_MOST_IN_ALL: Final = 20_000
_REPEATED: Final = (Kind.SHIFTED, Kind.TRUNCATED, Kind.CALL)  # that come again and again, and are shown once in a row


class Entry(NamedTuple):
    """An event, and how often it came in a row from its line on."""

    event: Event
    times: int = 1


class Timeline:
    """Takes events; `of` gives those of a model, "" of the server. `dropped` counts what was forgotten."""

    def __init__(self) -> None:
        self._events: dict[str, deque[Entry]] = {}
        self._kept = 0
        self.dropped = 0

    def take(self, event: Event) -> None:
        events = self._events.setdefault(event.model, deque())
        last = events[-1] if events else None
        if last and event.kind in _REPEATED and (last.event.kind, last.event.cause) == (event.kind, event.cause):
            events[-1] = Entry(last.event, last.times + 1)
            return
        events.append(Entry(event))
        self._kept += 1
        if len(events) > MOST_EVENTS:
            self._forget(event.model)
        elif self._kept > _MOST_IN_ALL:
            self._forget(next(iter(self._events)))

    def _forget(self, model: str) -> None:
        self._events[model].popleft()
        if not self._events[model]:
            del self._events[model]
        self._kept -= 1
        self.dropped += 1

    def models(self) -> list[str]:
        """Those with events, in the order of their first."""
        return [model for model in self._events if model]

    def of(self, model: str) -> list[Entry]:
        events: Iterable[Entry] = self._events.get(model, ())
        return sorted(events, key=lambda entry: entry.event.place.number)
