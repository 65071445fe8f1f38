"""OLL107: a quantised KV cache, which needs flash attention, without it."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.images import shown
from ollama_policy.rules.edits import put
from ollama_policy.rules.examples import compose
from ollama_policy.rules.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.servers import decided, said, text, version_of
from ollama_policy.settings import Kind, Subject
from ollama_provider.ollama.variables import (
    LLAMA_CPP_KV_CACHE_TYPES,
    UNQUANTISED_KV_CACHE_TYPES,
    env_bool,
)
from ollama_provider.ollama.versions import Behavior

_TYPE, _FLASH = "OLLAMA_KV_CACHE_TYPE", "OLLAMA_FLASH_ATTENTION"
_QUANTISED = frozenset(LLAMA_CPP_KV_CACHE_TYPES) - UNQUANTISED_KV_CACHE_TYPES


class QuantisedKvWithoutFlashAttention(Rule):
    id = "OLL107"
    name = "quantised-kv-without-flash-attention"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_TYPE, _FLASH))
    summary = "a quantised KV cache without the flash attention that it needs"
    why = (
        "A quantised KV cache works with flash attention only. Up to 0.24 most models use it only where "
        "OLLAMA_FLASH_ATTENTION says so, and Ollama falls back to f16 with a line in its log: the memory that was to "
        "be saved is not. From 0.30 on it is chosen by itself; where it is switched off, runners crash."
    )
    fix = "Set `OLLAMA_FLASH_ATTENTION=1`, or leave the KV cache at f16."
    bad = (compose("OLLAMA_KV_CACHE_TYPE: «q8_0»", image="ollama/ollama:0.17.4"),)
    good = (compose("OLLAMA_KV_CACHE_TYPE: q8_0", 'OLLAMA_FLASH_ATTENTION: "1"', image="ollama/ollama:0.17.4"),)
    source = "llm/server.go, NewLlamaServer (0.17.4); issues 15043 and 16946"

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting = said(subject, _TYPE, target)
        if setting is None or text(setting).lower() not in _QUANTISED or not decided(subject, _FLASH):
            return
        version, flash = version_of(subject, target), env_bool(text(subject.known(_FLASH)))
        is_old = not Behavior.UNCHECKED_KV_CACHE_TYPE.holds(version, if_unknown=True)
        if flash or (flash is None and not is_old):
            return
        edit = put(subject, _FLASH, "1")
        lacking = f"{_FLASH} is not set" if flash is None else f"{_FLASH} is off"
        where = f"Ollama {shown(version)} takes f16 instead" if is_old and version else "such runners crash"
        yield self.at(
            setting,
            subject,
            f"the KV cache is to be {text(setting).lower()}, but {lacking}",
            label=where if flash is not None else f"for most models {where}",
            fixes=(Fix(f"set {_FLASH} to 1", (edit,)),) if edit else (),
        )
