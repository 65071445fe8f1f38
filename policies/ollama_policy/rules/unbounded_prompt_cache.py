"""OLL202: the prompt cache of a runner may take what the server has."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.rules.edits import put
from ollama_policy.rules.examples import compose
from ollama_policy.rules.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.servers import MIB, decided, memory_limit, said, size, text, version_of
from ollama_policy.settings import MEMORY_LIMIT, Kind, Setting, Subject
from ollama_provider.ollama.variables import PROMPT_CACHE_MIB
from ollama_provider.ollama.versions import Behavior

_NAME = "LLAMA_ARG_CACHE_RAM"
_SHARE = 4  # the cache of one runner may be a quarter of what there is
_SMALL = 512


class UnboundedPromptCache(Rule):
    id = "OLL202"
    name = "unbounded-prompt-cache"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_NAME, MEMORY_LIMIT))
    summary = "a prompt cache that may grow to a large part of the memory"
    why = (
        "From 0.30 on every runner keeps prompts in a cache of up to 8 GiB of host memory, which /api/ps does not show "
        "and which only an unload frees. LLAMA_ARG_CACHE_RAM bounds it in MiB; -1 means without a bound. This is the "
        'growth that people know as "Ollama does not release memory". Reported for a known version, where 8 GiB are '
        "more than a quarter of the memory limit, or where the bound is taken away."
    )
    fix = "Set `LLAMA_ARG_CACHE_RAM`, for example to 512; 0 switches the cache off."
    bad = (compose(image="ollama/ollama:0.32.15", limit="«16g»"),)
    good = (compose("LLAMA_ARG_CACHE_RAM: 512", image="ollama/ollama:0.32.15", limit="16g"),)
    source = "issues 18264, 18106 and 17351; llama.cpp's --cache-ram"

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        version = version_of(subject, target)
        if not Behavior.PROMPT_CACHE.holds(version, if_unknown=False) or not decided(subject, _NAME):
            return
        setting = said(subject, _NAME, target)
        if setting is not None:
            if text(setting) == "-1":
                yield self.at(
                    setting,
                    subject,
                    "the prompt cache of every runner grows without a bound",
                    label="-1 takes the bound of 8 GiB away",
                    fixes=self._fixes(subject),
                )
            return
        limit = memory_limit(subject, target)
        if limit is None or limit >= _SHARE * PROMPT_CACHE_MIB * MIB:
            return
        message = f"the prompt cache of one runner may take 8 GiB of {size(limit)}"
        label = f"{_NAME} is not set"
        place = _place(subject, limit)
        if place is None:
            yield self.about(subject, message, label=label, fixes=self._fixes(subject))
        else:
            yield self.at(place, subject, message, label=label, fixes=self._fixes(subject))

    def _fixes(self, subject: Subject) -> tuple[Fix, ...]:
        edit = put(subject, _NAME, str(_SMALL))
        return (Fix(f"bound it: {_NAME} {_SMALL}", (edit,)),) if edit else ()


def _place(subject: Subject, limit: int) -> Setting | None:
    own = subject.known(MEMORY_LIMIT)
    return own if own is not None and own.value == limit else None
