"""What the lines of a log mean: a server that loads, evicts, expires and unloads models, line by line.

Who writes a line, and since which version, is the business of `dialects`; here is what a log is made of.
"""

import re
from collections.abc import Callable
from typing import Final

from ollama_policy.commands.logs.dialects import handlers
from ollama_policy.commands.logs.event import Event, Kind, Place
from ollama_policy.commands.logs.events.caches import Caches
from ollama_policy.commands.logs.events.calls import Calls
from ollama_policy.commands.logs.events.leaving import Leaving
from ollama_policy.commands.logs.events.loads import Loads
from ollama_policy.commands.logs.lines.llama_cpp import LLAMA_CPP, is_canceled, shift
from ollama_policy.commands.logs.lines.others import Alarm, death, go_log
from ollama_policy.commands.logs.lines.requests import is_ollamas, request
from ollama_policy.commands.logs.lines.slog import fields, message
from ollama_policy.commands.logs.model import Model
from ollama_policy.commands.logs.state import FOR_EVER, Fields, Handlers, State
from ollama_provider.ollama.versions import beyond_known, version_in

_LISTENING: Final = re.compile(r"Listening on \S+ \(version ([\w.+-]+)\)")
_SETTING: Final = re.compile(r"\b((?:OLLAMA|LLAMA_ARG)_[A-Z_]+):([^\s\[\]]*)")
_OF_OLLAMA: Final = re.compile(rb"time=\S{1,40} level=\S{1,12} source=[\w.-]{1,64}\.go:\d{1,6} msg=")
# What may follow a load that failed, and says that it is tried again.
_CONTINUES: Final = frozenset(
    (
        b"llama-server load failed; reducing automatic context and retrying once",
        b"llama-server load failed; evicting all other models and retrying once",
    )
)


class Story:
    """Takes lines, gives events to `emit`. Knows which models are in memory, as far as the log tells.

    `known` counts the lines that are Ollama's by their form, and those of what runs inside it.
    """

    def __init__(self, emit: Callable[[Event], None], slow_seconds: float) -> None:
        self._state = State(emit)
        self._caches = Caches(self._state)
        self._leaving = Leaving(self._state, self._caches)
        self._loads = Loads(self._state, self._leaving, self._caches)
        self._calls = Calls(self._state, self._caches, slow_seconds)
        self._alarm = Alarm()
        self._own = 0  # lines of Ollama itself
        self._of_engines = 0
        self._by_message: Handlers = {
            **handlers(self._state, self._loads, self._leaving, self._calls),
            b"server config": self._start,
            b"Listening on": self._listening,
            b"invalid environment variable, using default": self._calls.ignored_variable,
            b"invalid port, using default": self._calls.ignored_port,
        }

    @property
    def models(self) -> dict[str, Model]:
        return self._state.models

    @property
    def resident(self) -> list[Model]:
        return self._state.resident

    @property
    def has_debug(self) -> bool:
        return self._state.has_debug

    @property
    def known(self) -> int:
        """llama.cpp writes the same lines in other programs: alone they are not a log of Ollama."""
        return self._own and self._own + self._of_engines

    @property
    def notes(self) -> list[str]:
        """What is to be said of how the log was read."""
        note = beyond_known(self._state.version)
        if self._state.no_version:
            what = f"the server calls its version {self._state.no_version!r}, which is not a version"
            note = f"{what}: the log is read without it"
        return [note] if note else []

    def take(self, number: int, raw: bytes, text: bytes, at: str) -> None:
        """One line, whatever stands in it."""
        if text[:5] == b"time=":
            self._calls.settle()
            self._slog(number, raw, text, at)
        elif text.startswith(LLAMA_CPP):
            self._of_engines += 1
            self._llama_cpp(number, raw, text, at)
        elif text[:6] == b"[GIN] ":
            self._own += is_ollamas(text)
            call = request(text)
            if call is not None:
                self._loads.settle()
                self._leaving.settle()
                self._calls.ended(call, Place.of(number, raw, call.at))
        elif text[:2] == b"20" and (said := go_log(text)):
            if said.startswith(b"WARN invalid environment variable"):
                self._own += 1
                self._calls.ignored_variable(Place.of(number, raw, at), fields(said))
        else:
            self._calls.settle()
            self._other(number, raw, text, at)

    def finish(self) -> None:
        """What the log's end leaves open."""
        self._leaving.put_out_unnamed(self._state.load.model if self._state.load else None)
        self._leaving.settle()
        self._calls.settle()
        self._loads.finish()
        self._caches.finish()

    def _slog(self, number: int, raw: bytes, text: bytes, at: str) -> None:
        said = message(text)
        handle = self._by_message.get(said) or self._by_message.get(said[:12])
        if said not in _CONTINUES:
            self._loads.settle()
        if handle is None:
            self._own += _OF_OLLAMA.match(text) is not None
            return
        self._own += 1
        found = fields(text)
        handle(Place.of(number, raw, found.get("time", at)), found)

    # The server.

    def _start(self, place: Place, line: Fields) -> None:
        state = self._state
        self._loads.forget()
        self._leaving.forget()
        self._caches.forget()
        state.settings, state.version = dict(_SETTING.findall(line.get("env", ""))), None
        state.no_version = ""
        keep_alive = state.settings.get("OLLAMA_KEEP_ALIVE", "")
        state.say(Kind.START, place, f"a server starts; models stay {_shown(keep_alive)} after their last call")
        if keep_alive == FOR_EVER:
            state.say(Kind.PINNED, place, "OLLAMA_KEEP_ALIVE keeps every model forever", cause="server")

    def _listening(self, place: Place, line: Fields) -> None:
        found = _LISTENING.match(line.get("msg", ""))
        if found is not None:
            self._state.version = version_in(found[1])
            self._state.no_version = "" if self._state.version else found[1]
            text = f"Ollama {found[1]} listens"
            self._state.say(Kind.START, place, text, cause="version", version=found[1])

    # What is not Ollama's own log.

    def _llama_cpp(self, number: int, raw: bytes, text: bytes, at: str) -> None:
        if b"cache" in text and text[:4] == b"srv ":
            self._caches.take(Place.of(number, raw, at), text)
        elif (discarded := shift(text)) is not None:
            self._calls.shifted_by(Place.of(number, raw, at), discarded)
        elif is_canceled(text):
            self._calls.canceled()
        elif self._state.load:
            self._loads.llama_cpp(text)

    def _other(self, number: int, raw: bytes, text: bytes, at: str) -> None:
        alarm = self._alarm.take(Place.of(number, raw, at) if self._alarm.concerns(text) else None, text)
        if alarm is not None:
            place, percent = alarm
            resident = [model.shown + (f" ({model.size})" if model.size else "") for model in self.resident]
            said = f"memory is at {percent}%" if percent else "memory is over a threshold"
            said += (
                ", with " + (" and ".join(resident[:5]) if resident else "no model that this log shows") + " in memory"
            )
            self._state.say(Kind.ALARM, place, said, self._state.only_resident(), percent=percent)
            return
        found = death(text)
        if found is not None:
            self._own += found.is_ollama
            self._leaving.dies(Place.of(number, raw, at), found.death, found.cause)
        else:
            self._loads.take_refusal(text)


def _shown(duration: str) -> str:
    return "forever" if duration == FOR_EVER else duration or "for an unknown time"
