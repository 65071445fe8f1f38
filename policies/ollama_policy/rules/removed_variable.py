"""OLL105: a variable that Ollama read once and reads no longer."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.images import shown
from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.servers import version_of
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.variables import VARIABLES
from ollama_provider.ollama.versions import is_within

_REMOVED = {name: variable for name, variable in VARIABLES.items() if variable.removed is not None}


class RemovedVariable(Rule):
    id = "OLL105"
    name = "removed-variable"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = "a variable that Ollama reads no longer"
    why = (
        "A variable that was removed is ignored silently, so a bound that once held does not: OLLAMA_MAX_VRAM "
        "has bounded nothing since 0.7.0. A version that is pinned and still reads it is left alone."
    )
    fix = "Delete it, or use what took its place."
    bad = (compose("OLLAMA_MAX_VRAM: «8589934592»"),)
    good = (compose("OLLAMA_MAX_VRAM: 8589934592", image="ollama/ollama:0.5.13"),)
    source = "envconfig/config.go of every release up to 0.33, and of 0.34.3"
    experiment = "A server with OLLAMA_MAX_VRAM says at its start exactly what one without it says."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        version = version_of(subject, target)
        for name, variable in _REMOVED.items():
            setting = subject.settings.get(name)
            assert variable.removed is not None
            if setting is not None and (version is None or is_within(version, variable.removed, None)):
                yield self.at(
                    setting,
                    subject,
                    f"Ollama reads {name} no longer, since {shown(variable.removed)}",
                    label=variable.note,
                )
