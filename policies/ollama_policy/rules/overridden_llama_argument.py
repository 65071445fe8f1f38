"""OLL111: a LLAMA_ARG_* of an option that Ollama itself gives each runner."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.servers import raw_text, said, version_of
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.llama_arguments import OVERRIDDEN, OVERRIDDEN_BY_KV_CACHE_TYPE, misreading, name_of
from ollama_provider.ollama.versions import Behavior

_KV_CACHE_TYPE = "OLLAMA_KV_CACHE_TYPE"


class OverriddenLlamaArgument(Rule):
    id = "OLL111"
    name = "overridden-llama-argument"
    severity = Severity.INFO
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = "a LLAMA_ARG_* that has no effect, because Ollama sets that option itself"
    why = (
        "Ollama starts each runner with command-line options of its own, and an option overrides its variable: the "
        "context, the number of parallel requests, the batch, flash attention, and the KV cache type if "
        "OLLAMA_KV_CACHE_TYPE is set. llama-server still reads the variable, so a text that it cannot read keeps "
        "models from loading."
    )
    fix = "Delete it, and set Ollama's own variable if there is one."
    bad = (compose("LLAMA_ARG_CTX_SIZE: «8192»"),)
    good = (compose("OLLAMA_CONTEXT_LENGTH: 8192"),)
    source = "llm/llama_server.go:334, startLlamaServer; llama.cpp common/arg.cpp"
    experiment = (
        "With LLAMA_ARG_CTX_SIZE the model has a context of 4096, the same as without it; with OLLAMA_CONTEXT_LENGTH "
        "it has 8192."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        if not Behavior.LLAMA_SERVER.holds(version_of(subject, target), if_unknown=True):
            return
        has_type = said(subject, _KV_CACHE_TYPE, target) is not None
        for variable, setting in subject.settings.items():
            name = name_of(variable)
            meant = OVERRIDDEN.get(name)
            if meant is None and has_type and name in OVERRIDDEN_BY_KV_CACHE_TYPE:
                meant = _KV_CACHE_TYPE
            if meant is None or (setting.is_known and misreading(variable, raw_text(setting)) is not None):
                continue  # the latter is OLL110
            yield self.at(
                setting,
                subject,
                f"{variable} has no effect: Ollama sets this option for each runner itself",
                label=f"use {meant}" if meant else "Ollama sets it, and you cannot change it",
            )
