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
        "A negative OLLAMA_KEEP_ALIVE, or a number of seconds that is too large for Go, pins every model that any "
        "client loads. Each model stays until another one needs its memory, so memory use only grows. The setting is "
        "right if the models are declared resident: the rule does not report it then."
    )
    fix = 'Set a duration, and pin the models that must stay with `memory_management = "manual"`.'
    bad = (compose("OLLAMA_KEEP_ALIVE: «-1»"),)
    good = (compose("OLLAMA_KEEP_ALIVE: 5m"),)
    source = "envconfig/config.go, KeepAlive"
    experiment = "A client's call without a keep_alive pins the model; with `5m` the model has five minutes."

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
                "this server keeps every model in memory forever",
                label=f'"{text(setting)}" means forever, for every model that a client loads',
                fixes=(Fix(f"unload after {_BOUND}", (edit,)),) if edit else (),
            )
