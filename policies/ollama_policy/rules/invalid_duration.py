"""OLL101: a duration that Ollama cannot read, and takes its default for, without a word."""

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
    summary = "a server's duration that is not valid, so the default applies"
    why = (
        "Ollama reads OLLAMA_KEEP_ALIVE and OLLAMA_LOAD_TIMEOUT as a Go duration, or as whole seconds. Anything else, "
        "such as `1d`, `10 minutes` or `24h # a day`, is ignored: the default of 5 minutes applies, and the log says "
        "nothing."
    )
    fix = "Write a Go duration such as `5m`, `1h30m` or `24h`, or whole seconds; a negative one means forever."
    bad = (compose("OLLAMA_KEEP_ALIVE: «1d»"),)
    good = (compose("OLLAMA_KEEP_ALIVE: 24h"),)
    source = "envconfig/config.go, KeepAlive and LoadTimeout"
    experiment = "A server with `1d` keeps a model for five minutes, one with `24h` for a day."

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
                f'{name} "{text(setting)}" is not a duration: Ollama takes its default, {default}, and says nothing',
                label=f"read as {default}",
                fixes=(Fix(f"write {meant}", (edit,)),) if edit else (),
            )
