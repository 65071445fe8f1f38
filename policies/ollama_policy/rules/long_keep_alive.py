"""OLL005: a bound that is so long that it hardly is one."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.declarations import AUTOMATIC, mode_of, runs_elsewhere, shown_name
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.settings import Kind, Subject
from ollama_provider.ollama import durations

LONG = durations.NANOSECONDS["h"]


class LongKeepAlive(Rule):
    id = "OLL005"
    name = "long-keep-alive"
    severity = Severity.WARNING
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset(("keep_alive", "memory_management"))
    summary = "a keep_alive of more than an hour"
    why = (
        "The timer restarts when each request ends, so occasional calls within this time keep the model in memory "
        "forever. Meanwhile, other models cannot use that memory, and the model's prompt cache only grows."
    )
    fix = 'Shorten it. To keep a model in memory on purpose, write `memory_management = "manual"`.'
    bad = (
        Example(
            "models.tf",
            'resource "ollama_model" "chat" {\n  name       = "llama3"\n  keep_alive = «"24h"»\n}\n',
        ),
    )
    good = (
        Example(
            "models.tf",
            'resource "ollama_model" "chat" {\n  name       = "llama3"\n  keep_alive = "1h"\n}\n',
        ),
    )
    source = "server/sched.go: the timer is set when a request ends"
    experiment = "Every call sets the model's timer to 24 hours again, even a call without a keep_alive."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting = subject.known("keep_alive")
        if setting is None or not isinstance(setting.value, str) or mode_of(subject) != AUTOMATIC:
            return
        if runs_elsewhere(subject):
            return  # OLL007
        try:
            nanoseconds = durations.parse(setting.value)
        except durations.InvalidDurationError:
            return  # OLL003
        if nanoseconds > LONG:
            yield self.at(
                setting,
                subject,
                f"{shown_name(subject)} stays in memory for {durations.text(nanoseconds)} after every call",
                label="each call restarts this timer",
            )
