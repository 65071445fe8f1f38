"""OLL109: a server that keeps every model forever."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ollama_policy.model.declarations import is_pinned
from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import said, text
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.variables import FOR_EVER, env_keep_alive

_NAME = "OLLAMA_KEEP_ALIVE"
_BOUND = "5m"


class ServerNeverReleases(Rule):
    id = "OLL109"
    name = "server-never-releases"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_NAME,))
    summary = "a server that keeps every model in memory forever"
    why = (
        "A negative OLLAMA_KEEP_ALIVE, or seconds beyond what Go can hold, pins every model that any client loads. "
        "Each stays until another one needs its place, so memory only grows. It is right where the models are declared "
        "resident: beside such a declaration it is left alone."
    )
    fix = 'Give it a duration, and pin what must stay by declaring it with `memory_management = "manual"`.'
    bad = (compose("OLLAMA_KEEP_ALIVE: «-1»"),)
    good = (compose("OLLAMA_KEEP_ALIVE: 5m"),)
    source = "envconfig/config.go, KeepAlive"
    experiment = "A client's plain call pins the model; with `5m` it has five minutes."

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        if any(subject.kind is Kind.MODEL and is_pinned(subject) is not False for subject in subjects):
            return
        for subject in subjects:
            setting = said(subject, _NAME, target) if subject.kind is Kind.SERVER else None
            if setting is None or env_keep_alive(text(setting)) != FOR_EVER:
                continue
            edit = replace(setting, subject, _BOUND)
            yield self.at(
                setting,
                subject,
                "this server never releases a model by itself",
                label=f'"{text(setting)}" means forever, for every model that a client loads',
                fixes=(Fix(f"release after {_BOUND}", (edit,)),) if edit else (),
            )
