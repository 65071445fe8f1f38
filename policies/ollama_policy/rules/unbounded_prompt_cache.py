"""OLL202: the prompt caches of the runners may take what the server has."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import decided, memory_limit, most_runners, raw_text, version_of
from ollama_policy.model.settings import MEMORY_LIMIT, Kind, Setting, Subject
from ollama_policy.rules.edits import put
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.llama_arguments import whole
from ollama_provider.ollama.settings.variables import PROMPT_CACHE_MIB
from ollama_provider.ollama.sizes import MIB, text_of
from ollama_provider.ollama.versions import LLAMA_SERVER_SINCE, Behavior, dotted

_NAME = "LLAMA_ARG_CACHE_RAM"
_RUNNERS = "OLLAMA_MAX_LOADED_MODELS"
_SHARE = 2  # all caches together may be half of what there is
_SMALL_MIB = 512


class UnboundedPromptCache(Rule):
    id = "OLL202"
    name = "unbounded-prompt-cache"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_NAME, _RUNNERS, MEMORY_LIMIT))
    summary = "prompt caches that may grow to a large part of the memory"
    why = (
        "From 0.30 on every runner keeps past prompts in a cache of up to 8 GiB of host memory. /api/ps does not show "
        "the cache, and only an unload frees it: each call with a different prompt raises the runner's memory by the "
        'same amount. This is the growth that users report as "Ollama does not release memory". LLAMA_ARG_CACHE_RAM '
        "bounds the cache of each runner, in MiB, and OLLAMA_MAX_LOADED_MODELS bounds the number of runners: without "
        "it, up to three for each GPU, and three on a CPU. The rule reports caches that together may use more than "
        "half of the memory limit. A negative number does not remove the bound: the cache then holds as many tokens as "
        "the context, which needs as much memory again as the runner's KV cache."
    )
    fix = "Set `LLAMA_ARG_CACHE_RAM`, for example to 512; 0 switches the cache off."
    bad = (compose(image="ollama/ollama:0.34.3", limit="«16g»"),)
    good = (compose("LLAMA_ARG_CACHE_RAM: 512", image="ollama/ollama:0.34.3", limit="16g"),)
    source = (
        "measured on 0.34.3; issues 18264, 18106 and 17351; llama.cpp's --cache-ram, tools/server/server-task.cpp; "
        "server/sched.go, defaultModelsPerGPU"
    )
    experiment = (
        "A runner of 42 MiB gets calls with different prompts of 373 tokens, at 8 KiB of KV cache for each token, and "
        "grows by 3 MiB at every call. /api/ps does not show the growth, and an unload gives all of it back. With a "
        "bound of 8 MiB, which is small so that the test reaches it soon, the runner grows to 48 MiB and no further."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, version = subject.known(_NAME), version_of(subject, target)
        if not Behavior.PROMPT_CACHE.holds(version, if_unknown=True) or not decided(subject, _NAME):
            return
        cache_mib = PROMPT_CACHE_MIB if setting is None else whole(raw_text(setting))
        if cache_mib is None:
            return  # OLL110
        if setting is not None and cache_mib < 0:
            yield self._by_tokens(setting, subject)._replace(severity=Severity.INFO)
        limit = memory_limit(subject, target)
        runners = most_runners(subject, target)
        if limit is None or runners is None or _SHARE * runners * cache_mib * MIB <= limit:
            return
        of = f"{runners} runners" if runners > 1 else "a runner"
        caches = "caches" if runners > 1 else "cache"
        most = runners * cache_mib * MIB
        part = "more than" if most > limit else "more than half of"
        own_limit = _limit_itself(subject, limit)
        place, whole_of = setting or own_limit, "limit" if own_limit else "memory"
        message = f"the prompt {caches} of {of} may grow to {text_of(most)}, {part} the {whole_of} of {text_of(limit)}"
        said = "is not set" if setting is None else f"is {raw_text(setting)}"
        since = "" if version else f", from Ollama {dotted(LLAMA_SERVER_SINCE)} on"
        label = f"{_NAME} {said}: {text_of(cache_mib * MIB)} for each runner{since}"
        fixes = self._fixes(subject, min(_SMALL_MIB, limit // (_SHARE * runners * MIB)))
        if place is None:
            yield self.about(subject, message, label=label, fixes=fixes)
        else:
            yield self.at(place, subject, message, label=label, fixes=fixes)

    def _by_tokens(self, setting: Setting, subject: Subject) -> Finding:
        return self.at(
            setting,
            subject,
            f"{_NAME} {raw_text(setting)} bounds the prompt cache of each runner by the tokens of its context",
            label="the cache may need as much memory again as the runner's KV cache",
            fixes=self._fixes(subject, _SMALL_MIB),
        )

    def _fixes(self, subject: Subject, mib: int) -> tuple[Fix, ...]:
        edit = put(subject, _NAME, str(mib))
        return (Fix(f"bound it: {_NAME} {mib}", (edit,)),) if edit else ()


def _limit_itself(subject: Subject, limit: int) -> Setting | None:
    own = subject.known(MEMORY_LIMIT)
    return own if own is not None and own.value == limit else None
