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
        "The clock starts anew when each request ends, so a call now and then within this time holds the model "
        "forever. Meanwhile what it takes is missing for other models, and its prompt cache only grows."
    )
    fix = 'Shorten it, or say what is meant: `memory_management = "manual"` holds a model in memory on purpose.'
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
    experiment = "After every call the model has 24 hours anew, also after one that brings no keep_alive."

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
                label="each call starts this time anew",
            )
