"""OLL104: a variable that no Ollama reads, or not the one that is pinned."""

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from ollama_policy.model.images import shown
from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.servers import version_of
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.llama_arguments import ARGUMENTS, PREFIX, REMOVED, name_of
from ollama_provider.ollama.settings.variables import NEVER_SETTABLE, NEVER_VARIABLES, VARIABLES, Reading
from ollama_provider.ollama.versions import LLAMA_SERVER_SINCE, Behavior, Version, is_within

_PREFIX = "OLLAMA_"
_CLOSE = 0.85
_SHORTEST = 6
_KEPT = 100_000  # names: to compare one with all takes a millisecond, and many servers may share a file of them
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
    summary = "a variable that looks like one of the server's, but that Ollama does not read"
    why = (
        "Ollama silently ignores variables that it does not know. Some names are common but were never read, such as "
        "OLLAMA_NUM_CTX or OLLAMA_KEEPALIVE. Ollama also ignores a variable that a pinned version does not have yet. "
        "The rule leaves names of your own alone: it reports only names that are close to a real one. It reports every "
        "LLAMA_ARG_* that llama.cpp's server does not have, because no other program reads those."
    )
    fix = (
        "Write the name that you mean, or delete the variable. If it is a request's option, put it in the request or "
        "the Modelfile."
    )
    bad = (compose("OLLAMA_KEEPALIVE: «10m»"),)
    good = (compose("OLLAMA_KEEP_ALIVE: 10m"),)
    source = "envconfig/config.go of releases up to 0.34.3; llama.cpp common/arg.cpp, builds b10488, b10760 and b10970"
    experiment = (
        "A server with OLLAMA_KEEPALIVE keeps a model in memory for five minutes, one with OLLAMA_KEEP_ALIVE for ten."
    )

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
                        label=f"Ollama reads it from {shown(since)} on",
                    )
            elif name.startswith(PREFIX):
                label = _about_llama_argument(name, version)
                if label:
                    yield self.at(setting, subject, f"Ollama's runners do not read {name}", label=label)
            elif name in NEVER_SETTABLE:
                yield self.at(setting, subject, f"Ollama does not read {name}", label=NEVER_SETTABLE[name])
            elif name not in VARIABLES and (meant := _meant(name)):
                yield self.at(setting, subject, f"Ollama does not read {name}", label=f"did you mean {meant}?")


@lru_cache(_KEPT)
def _about_llama_argument(name: str, version: Version | None) -> str:
    """What is wrong with a LLAMA_ARG_*; empty where the version's runners read it."""
    if not Behavior.LLAMA_SERVER.holds(version, if_unknown=True):
        return f"runners read it from {shown(LLAMA_SERVER_SINCE)} on"
    if name in REMOVED:
        is_gone = Behavior.LOAD_MODE_REPLACES_MLOCK.holds(version, if_unknown=True)
        return f"{REMOVED[name]} replaces it" if is_gone else ""
    if name_of(name) in ARGUMENTS:
        return ""
    import difflib  # noqa: PLC0415 - most files have no name that is none

    close = difflib.get_close_matches(
        name.removeprefix(PREFIX), (one.removeprefix(PREFIX) for one in ARGUMENTS), 1, 0.7
    )
    return f"did you mean {PREFIX}{close[0]}?" if close else "llama.cpp's server has no option with this name"


@lru_cache(_KEPT)
def _meant(name: str) -> str:
    if name in NEVER_VARIABLES:
        return NEVER_VARIABLES[name]
    plain = name.removeprefix(_PREFIX)
    if plain == name or len(plain) < _SHORTEST or name in _OF_OTHERS:
        return ""
    import difflib  # noqa: PLC0415 - most files have no name that is close to one

    close = difflib.get_close_matches(plain, (known.removeprefix(_PREFIX) for known in _JUDGED), 1, _CLOSE)
    return f"{_PREFIX}{close[0]}" if close else ""
