"""OLL104: a variable that no Ollama reads, or not the one that is pinned."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.images import shown
from ollama_policy.rules.examples import compose
from ollama_policy.rules.rule import Finding, Rule, Severity, Target
from ollama_policy.servers import version_of
from ollama_policy.settings import Kind, Subject
from ollama_provider.ollama.variables import NEVER_VARIABLES, VARIABLES, Reading
from ollama_provider.ollama.versions import is_within

_PREFIX = "OLLAMA_"
_CLOSE = 0.85
_SHORTEST = 6
# Not the texts: a key or an address is nobody's business here, and has nothing to do with memory.
_JUDGED = tuple(name for name, variable in VARIABLES.items() if variable.reading is not Reading.TEXT)
# Of programs and scripts beside Ollama, often in one environment with it.
_OF_OTHERS = frozenset(
    f"{_PREFIX}{name}"
    for name in "MODEL MODEL_NAME MODELS_DIR MODEL_DIR MODELS_PATH MODEL_PATH ORIGIN HOSTNAME VERSION CONTEXT".split()
)


class UnknownVariable(Rule):
    id = "OLL104"
    name = "unknown-variable"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = "a variable that looks like one of the server's and is none"
    why = (
        "Ollama ignores variables that it does not know, without a word. Some names are written often and were never "
        "read, such as OLLAMA_NUM_CTX or OLLAMA_KEEPALIVE; a variable that a pinned version does not have yet is as "
        "good as not written. Names of your own are left alone: only what is close to a real one is named here."
    )
    fix = "Write the name that is meant; where it is a request's option, put it into the request or the Modelfile."
    bad = (compose("OLLAMA_KEEPALIVE: «10m»"),)
    good = (compose("OLLAMA_KEEP_ALIVE: 10m"),)
    source = "envconfig/config.go of every release up to 0.33"

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        version = version_of(subject, target)
        for name, setting in subject.settings.items():
            if name in _JUDGED:
                since = VARIABLES[name].since
                if version is not None and not is_within(version, since, None):
                    yield self.at(
                        setting,
                        subject,
                        f"Ollama {shown(version)} does not read {name}",
                        label=f"read from {shown(since)} on",
                    )
            elif name not in VARIABLES and (meant := _meant(name)):
                yield self.at(setting, subject, f"Ollama does not read {name}", label=f"what is meant is {meant}")


def _meant(name: str) -> str:
    if name in NEVER_VARIABLES:
        return NEVER_VARIABLES[name]
    plain = name.removeprefix(_PREFIX)
    if plain == name or len(plain) < _SHORTEST or name in _OF_OTHERS:
        return ""
    import difflib  # noqa: PLC0415 - most files have no name that is close to one

    close = difflib.get_close_matches(plain, (known.removeprefix(_PREFIX) for known in _JUDGED), 1, _CLOSE)
    return f"{_PREFIX}{close[0]}, it seems" if close else ""
