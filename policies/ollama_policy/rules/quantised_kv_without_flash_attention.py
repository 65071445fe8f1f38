"""OLL107: a quantised KV cache, which needs flash attention, without it."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.images import shown
from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import decided, gpu_count, may_have_gpu, said, text, version_of
from ollama_policy.model.settings import Kind, Setting, Subject
from ollama_policy.rules.edits import put
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.kv_cache_types import OF_BOTH, OF_LLAMA_CPP, UNQUANTISED, VARIABLES, in_effect
from ollama_provider.ollama.settings.variables import (
    env_bool,
)
from ollama_provider.ollama.versions import Behavior, Version

_FLASH = "OLLAMA_FLASH_ATTENTION"
_QUANTISED = frozenset(OF_LLAMA_CPP) - UNQUANTISED


class QuantisedKvWithoutFlashAttention(Rule):
    id = "OLL107"
    name = "quantised-kv-without-flash-attention"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((*VARIABLES, _FLASH))
    summary = "a quantised KV cache without flash attention, which it needs"
    why = (
        "A quantised KV cache works only with flash attention. Up to 0.24 most models use flash attention only if "
        "OLLAMA_FLASH_ATTENTION switches it on; otherwise, Ollama logs a line and uses f16, which saves no memory. "
        "From 0.30 on, without the variable, llama.cpp decides: against flash attention on old GPUs, and for a model "
        "that is only partly on the GPU. In those cases, and if the variable switches it off, the runner exits and no "
        "model loads. On a server that is known to have no GPU the automatic choice is right, so "
        "the finding is an info there. From 0.30 on a model whose head size is not a multiple of 32 does not load with "
        "such a cache at all."
    )
    fix = "Set `OLLAMA_FLASH_ATTENTION=1`, or leave the KV cache at f16."
    bad = (compose("OLLAMA_KV_CACHE_TYPE: «q8_0»", "OLLAMA_FLASH_ATTENTION: 0"),)
    good = (compose("OLLAMA_KV_CACHE_TYPE: q8_0", "OLLAMA_FLASH_ATTENTION: 1"),)
    source = "llm/server.go, NewLlamaServer (0.17.4); llm/llama_server.go (0.34.3); issues 15043, 16946 and 17430"
    experiment = (
        "With flash attention off each load fails with HTTP 500; with it on, and on a CPU without the variable, the "
        "model loads. A model with heads of 16 loads in neither case. The behaviour of an old GPU, or of a model that "
        "is only partly on a GPU, comes from the issues: a test needs a GPU."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting = _quantising(subject, target)
        if setting is None or not decided(subject, _FLASH):
            return
        version, flash = version_of(subject, target), env_bool(text(subject.known(_FLASH)))
        if flash:
            return
        is_old = not Behavior.AUTOMATIC_FLASH_ATTENTION.holds(version, if_unknown=True)
        edit = put(subject, _FLASH, "1")
        lacking = f"{_FLASH} is not set" if flash is None else f"{_FLASH} is off"
        found = self.at(
            setting,
            subject,
            f"a KV cache of {text(setting).lower()} needs flash attention, but {lacking}",
            label=_what_happens(version if is_old else None, is_off=flash is False),
            fixes=(Fix(f"set {_FLASH} to 1", (edit,)),) if edit else (),
        )
        has_no_gpu = gpu_count(subject, target) == 0 and not may_have_gpu(subject)
        is_right_by_itself = flash is None and not is_old and has_no_gpu
        yield found._replace(severity=Severity.INFO) if is_right_by_itself else found


def _quantising(subject: Subject, target: Target) -> Setting | None:
    """What makes the cache of keys, or of values, a quantised one."""
    settings = {name: setting for name in VARIABLES if (setting := subject.known(name)) is not None}
    if said(subject, OF_BOTH, target) is None:
        settings.pop(OF_BOTH, None)
    types = in_effect(lambda name: text(settings.get(name)), version_of(subject, target))
    quantised = (one for one in settings.values() if text(one).lower() in _QUANTISED & {*types})
    return next(quantised, None)


def _what_happens(old: Version | None, *, is_off: bool) -> str:
    if old is not None:
        return f"{'' if is_off else 'for most models '}Ollama {shown(old)} uses f16 instead"
    return "no model loads" if is_off else "on an old GPU, or only partly on a GPU, no model loads"
