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
    summary = "a variable that Ollama no longer reads"
    why = (
        "Ollama silently ignores a variable that was removed, so a bound that once applied no longer does: "
        "OLLAMA_MAX_VRAM has had no effect since 0.7.0. The rule leaves a variable alone if the pinned version still "
        "reads it."
    )
    fix = "Delete it, or use its replacement."
    bad = (compose("OLLAMA_MAX_VRAM: «8589934592»"),)
    good = (compose("OLLAMA_MAX_VRAM: 8589934592", image="ollama/ollama:0.5.13"),)
    source = "envconfig/config.go of every release up to 0.33, and of 0.34.3"
    experiment = "A server with OLLAMA_MAX_VRAM logs exactly the same at its start as a server without it."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        version = version_of(subject, target)
        for name, variable in _REMOVED.items():
            setting = subject.settings.get(name)
            assert variable.removed is not None
            if setting is not None and (version is None or is_within(version, variable.removed, None)):
                yield self.at(
                    setting,
                    subject,
                    f"Ollama has not read {name} since {shown(variable.removed)}",
                    label=variable.note,
                )
