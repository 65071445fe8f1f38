"""Events that are findings, each once for a model and a cause, at its first line, with how often it came."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ollama_policy.commands.logs.event import Event, Kind, Place
from ollama_policy.commands.logs.events.caches import DEFAULT_LIMIT
from ollama_policy.commands.logs.model import Model
from ollama_policy.model.result import Reported, Result
from ollama_policy.model.rule import Finding, Rule, Severity
from ollama_policy.model.settings import Position, SourceFile, Span
from ollama_policy.rules import log_rules
from ollama_policy.rules.leaking_version import leaks_of

MOST: Final = 2000  # that are kept apart; what comes then is only counted

# None: said with another finding, or no fault.
_RULES: Final[Mapping[Kind, type[Rule]]] = {
    Kind.IGNORED: log_rules.IgnoredSetting,
    Kind.EVICTED: log_rules.Evicted,
    Kind.RETRY: log_rules.OutOfMemory,
    Kind.FAILED: log_rules.FailedLoad,
    Kind.DIED: log_rules.RunnerDied,
    Kind.RELOAD: log_rules.ReloadedWithOptions,
    Kind.TRUNCATED: log_rules.PromptTruncated,
    Kind.CALL: log_rules.FailedCalls,
    Kind.PINNED: log_rules.NeverReleased,
    Kind.KEPT: log_rules.MemoryKept,
    Kind.ALARM: log_rules.MemoryAlarm,
    Kind.CACHE: log_rules.PromptCacheGrows,
    Kind.LIMITED: log_rules.LoadedWithLess,
    Kind.OOM: log_rules.OutOfMemoryInAnswer,
}
_BY_CAUSE: Final[Mapping[tuple[Kind, str], type[Rule] | None]] = {
    (Kind.EVICTED, "answer"): None,  # said with the event that put them all out
    (Kind.FAILED, "memory"): log_rules.OutOfMemory,
    (Kind.FAILED, "killed"): log_rules.RunnerDied,
    (Kind.CALL, "slow"): log_rules.SlowCall,
    (Kind.CALL, "client"): None,
    (Kind.START, "version"): log_rules.LeakingRelease,
}
_SEVERITIES: Final[Mapping[tuple[Kind, str], Severity]] = {
    (Kind.RETRY, ""): Severity.WARNING,
    (Kind.PINNED, "client"): Severity.INFO,
    (Kind.FAILED, "client"): Severity.INFO,
    (Kind.RETRY, "context"): Severity.WARNING,
    (Kind.RETRY, "alone"): Severity.WARNING,
    (Kind.RETRY, "projector"): Severity.WARNING,
    (Kind.CACHE, "capped"): Severity.INFO,
    (Kind.CACHE, "skipped"): Severity.INFO,
    (Kind.CACHE, "mlx"): Severity.INFO,
    (Kind.LIMITED, "model"): Severity.INFO,
}
_SET_ALREADY: Final = (
    "Do nothing if each runner may keep that much. LLAMA_ARG_CACHE_RAM is set: a lower number of MiB "
    "keeps less, and 0 turns the cache off."
)
# Where the rule's fix does not hold.
_ADVICE: Final[Mapping[tuple[Kind, str], str]] = {
    (Kind.CACHE, "skipped"): (
        "Do nothing if such a prompt does not come again: it is processed again each time. A higher "
        "LLAMA_ARG_CACHE_RAM keeps its state, and uses that much more memory."
    ),
    (Kind.CACHE, "mlx"): "No variable bounds it. A reload of the model frees what it holds now.",
}
_LATEST: Final = frozenset((Kind.CACHE,))  # of which the last event says all that the earlier ones did
_MESSAGE: Final = re.compile(rb'(?<= msg=)\\?"?[^"\\]+')


class LogLine(SourceFile):
    """One line of a log that is not kept: `position` and `line` are those of the whole."""

    def __init__(self, path: str, place: Place) -> None:
        super().__init__(path, place.raw)
        self._number = place.number

    def position(self, offset: int) -> Position:
        return Position(self._number, len(self.data[:offset].decode("utf-8", "replace")) + 1)

    def line(self, number: int) -> str:
        return self.data.decode("utf-8", "replace").rstrip("\r\n")


class Found(NamedTuple):
    """A kind of finding of one model."""

    rule: type[Rule]
    event: Event
    severity: Severity


class Findings:
    """Takes events, keeps the first of each kind and counts the others."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Found] = {}
        self._counts: dict[tuple[str, str, str], int] = {}
        self._last: dict[tuple[str, str, str], int] = {}

    def take(self, event: Event) -> Found | None:
        """What this event begins; None where it is none, or one more of the same."""
        by_cause = event.kind, event.cause
        rule = _BY_CAUSE[by_cause] if by_cause in _BY_CAUSE else _RULES.get(event.kind)
        if rule is None or (rule is log_rules.LeakingRelease and not _leaks(event)):
            return None
        is_latest = event.kind in _LATEST
        key = rule.id, event.model, "" if is_latest else event.cause + str(event.facts.get("value", ""))[:200]
        self._last[key] = event.place.number
        if key in self._found and is_latest:
            self._found[key] = Found(rule, event, _SEVERITIES.get(by_cause, rule.severity))
            return None
        if key in self._found:
            self._counts[key] += 1
            return None
        if len(self._found) >= MOST:
            del self._last[key]
            return None
        found = Found(rule, event, _SEVERITIES.get(by_cause, rule.severity))
        self._found[key], self._counts[key] = found, 1
        return found

    def result(self, path: str, models: Mapping[str, Model], known: int) -> Result:
        """All findings in the order of their lines."""
        result = Result(rules=log_rules.LOG_RULES, searched=int(known > 0 or bool(self._found)), read=1)
        for key, found in self._found.items():
            again = self._counts[key] - 1
            words = f", and {again} more, the last on line {self._last[key]}" if again else ""
            result.findings.append(reported(found, path, models, words))
        result.findings.sort(key=lambda one: (one.start, one.finding.rule.id))
        return result


def reported(found: Found, path: str, models: Mapping[str, Model], words: str = "") -> Reported:
    """A finding at its line: at the message in it, where it is one of Ollama's own."""
    event = found.event
    model = models.get(event.model)
    named = f"{model.shown}: " if model else ""
    text = _leaks(event) if found.rule is log_rules.LeakingRelease else event.text
    raw = event.place.raw.rstrip(b"\r")
    message = _MESSAGE.search(raw)
    span = Span(*message.span()) if message else Span(0, len(raw))
    address = model.shown if model else ""
    finding = Finding(found.rule, f"{named}{text}{words}", LogLine(path, event.place), span, address)
    return Reported(finding._replace(advice=_advice(event)), found.severity)


def _advice(event: Event) -> str:
    """What to do, where it is not what the rule says."""
    limit = event.facts.get("limit_bytes")
    if event.kind is Kind.CACHE and limit is not None and limit != DEFAULT_LIMIT:
        return _SET_ALREADY
    return _ADVICE.get((event.kind, event.cause), "")


def _leaks(event: Event) -> str:
    parts = str(event.facts.get("version", "")).split("-")[0].split("+")[0].split(".")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 6 for part in parts):
        return ""
    return leaks_of((int(parts[0]), int(parts[1]), int(parts[2])))
