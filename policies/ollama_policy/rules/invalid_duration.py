"""OLL101: a duration that Ollama cannot read, and silently takes its default for."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import said, text
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.variables import VARIABLES, Reading, env_keep_alive, meant_duration

_NAMES = tuple(name for name, variable in VARIABLES.items() if variable.reading is Reading.DURATION)


class InvalidDuration(Rule):
    id = "OLL101"
    name = "invalid-duration"
    severity = Severity.ERROR
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset(_NAMES)
    summary = "an invalid duration in a server's variable, so Ollama uses the default"
    why = (
        "Ollama reads OLLAMA_KEEP_ALIVE and OLLAMA_LOAD_TIMEOUT as a Go duration, or as whole seconds. It ignores "
        "anything else, such as `1d`, `10 minutes` or `24h # a day`, uses the default of 5 minutes, and logs nothing."
    )
    fix = "Write a Go duration such as `5m`, `1h30m` or `24h`, or whole seconds. A negative value means forever."
    bad = (compose("OLLAMA_KEEP_ALIVE: «1d»"),)
    good = (compose("OLLAMA_KEEP_ALIVE: 24h"),)
    source = "envconfig/config.go, KeepAlive and LoadTimeout"
    experiment = "A server with `1d` keeps a model in memory for five minutes, one with `24h` for a day."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        for name in _NAMES:
            setting = said(subject, name, target)
            if setting is None or env_keep_alive(text(setting)) is not None:
                continue
            default = VARIABLES[name].default
            meant = meant_duration(text(setting))
            edit = replace(setting, subject, meant) if meant else None
            yield self.at(
                setting,
                subject,
                f'{name} "{text(setting)}" is not a duration: Ollama uses its default, {default}, and logs nothing',
                label=f"read as {default}",
                fixes=(Fix(f"write {meant}", (edit,)),) if edit else (),
            )
