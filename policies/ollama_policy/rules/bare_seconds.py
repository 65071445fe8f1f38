"""OLL112: a small bare number for OLLAMA_KEEP_ALIVE: it is seconds."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import said, text
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.variables import env_uint

_NAME = "OLLAMA_KEEP_ALIVE"
_MOST = 60  # from a minute on people mean seconds, or would have written a unit


class BareSeconds(Rule):
    id = "OLL112"
    name = "bare-seconds"
    severity = Severity.INFO
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_NAME,))
    summary = "a small number without a unit for OLLAMA_KEEP_ALIVE, which means seconds"
    why = (
        "A number without a unit is seconds. With `30` Ollama unloads a model half a minute after each call, and loads "
        "it again for the next call. Widely copied guides say that the number is minutes. If you mean seconds, write "
        "the unit."
    )
    fix = "Write the unit: `30m`, or `30s`."
    bad = (compose("OLLAMA_KEEP_ALIVE: «30»"),)
    good = (compose("OLLAMA_KEEP_ALIVE: 30m"),)
    source = "envconfig/config.go, KeepAlive"
    experiment = "With `30` Ollama unloads a model within 30 seconds; with `30m` the model has half an hour."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting = said(subject, _NAME, target)
        seconds = env_uint(text(setting))
        if setting is None or seconds is None or not 0 < seconds <= _MOST:
            return
        edits = {unit: replace(setting, subject, f"{seconds}{unit}") for unit in ("m", "s")}
        yield self.at(
            setting,
            subject,
            f"Ollama unloads a model {seconds} second{'' if seconds == 1 else 's'} after each call",
            label="a number without a unit is seconds, not minutes",
            fixes=tuple(Fix(f"write {seconds}{unit}", (edit,)) for unit, edit in edits.items() if edit),
        )
