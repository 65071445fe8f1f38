"""Lines that are not of Ollama's own log: the story's alarm, the Go runtime, the kernel, systemd."""

import re
from typing import Final, NamedTuple

from ollama_policy.commands.logs.event import Place

_ALARM: Final = re.compile(rb"memory usage exceeds threshold", re.IGNORECASE)
_FIGURE: Final = re.compile(rb"current memory usage: *(\d{1,3}(?:\.\d{1,6})?) ?%", re.IGNORECASE)
_GO: Final = re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?:[\w.]+:\d+: )?", re.ASCII)
_KERNEL: Final = re.compile(rb"[Oo]ut of memory: Killed process (\d{1,10}) \(((?:ollama|llama)[^)]{0,32})\)")
_SYSTEMD: Final = re.compile(rb"ollama\S{0,64}\.service: .{0,200}killed by the OOM killer")
_CRASH: Final = re.compile(rb"(?:SIG(?:SEGV|BUS|ABRT|ILL|FPE)|panic|fatal error): .*|.*GGML_ASSERT\(.*")


class Alarm:
    """The story's line, on one line or, as the story prints it, on two."""

    def __init__(self) -> None:
        self._first: Place | None = None

    def concerns(self, text: bytes) -> bool:
        return self._first is not None or b"emory " in text or b"EMORY " in text

    def take(self, place: Place | None, text: bytes) -> tuple[Place, str] | None:
        """The alarm that this line is, or that it completes: its place, and its percentage or ""."""
        if place is None:
            return None
        first, self._first = self._first, None
        figure = _FIGURE.search(text)
        percent = figure[1].decode() if figure else ""
        if _ALARM.search(text):
            if percent:
                return place, percent
            self._first = place
        elif first is not None:
            return first, percent
        return None


class Death(NamedTuple):
    """How a runner ended, by others."""

    death: str
    cause: str
    is_ollama: bool = False


def go_log(text: bytes) -> bytes:
    """What a line of Go's plain log says: Ollama's own before its log is set up. Empty where it is none."""
    found = _GO.match(text)
    return text[found.end() :] if found else b""


def death(text: bytes) -> Death | None:
    if b"ut of memory: Killed" in text and (found := _KERNEL.search(text)):
        name = found[2].decode("utf-8", "replace")
        return Death(f"the kernel killed {name} (process {int(found[1])}): memory had run out", "oom")
    if b"OOM killer" in text and _SYSTEMD.search(text):
        return Death("the kernel's OOM killer ended a process of the service", "oom")
    if (text[:1] in (b"S", b"p", b"f") or b"GGML_ASSERT(" in text) and _CRASH.match(text):
        return Death(f"it crashed: {text[:200].decode('utf-8', 'replace')}", "crash", is_ollama=True)
    return None
