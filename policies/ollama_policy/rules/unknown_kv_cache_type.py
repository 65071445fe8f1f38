"""OLL106: a type of KV cache that does not exist."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.images import shown
from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import said, text, version_of
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.kv_cache_types import OF_LLAMA_CPP, OF_OLLAMA
from ollama_provider.ollama.versions import Behavior

_NAME = "OLLAMA_KV_CACHE_TYPE"
_SHORT = {"q8": "q8_0", "q4": "q4_0", "int8": "q8_0", "int4": "q4_0", "fp16": "f16", "float16": "f16"}


class UnknownKvCacheType(Rule):
    id = "OLL106"
    name = "unknown-kv-cache-type"
    severity = Severity.ERROR
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_NAME,))
    summary = "a KV cache type that Ollama does not have"
    why = (
        "Up to 0.24 Ollama knows f16, q8_0 and q4_0, and uses f16 for everything else: the cache then needs two or "
        "four times the intended memory. From 0.30 on Ollama passes the text to llama.cpp unchecked. llama.cpp knows a "
        "few more types; with any other type, llama-server exits and no model loads."
    )
    fix = "Write `q8_0`, which needs half the memory of f16, or `q4_0`, which needs a quarter."
    bad = (compose("OLLAMA_FLASH_ATTENTION: 1", "OLLAMA_KV_CACHE_TYPE: «q8»"),)
    good = (compose("OLLAMA_FLASH_ATTENTION: 1", "OLLAMA_KV_CACHE_TYPE: q8_0"),)
    source = "fs/ggml/ggml.go, SupportsKVCacheType (0.17.4); llm/llama_server.go and llama.cpp common/arg.cpp (0.34.3)"
    experiment = "With `q8` each load fails with HTTP 500; with `q8_0` the model loads."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, version = said(subject, _NAME, target), version_of(subject, target)
        is_old = not Behavior.UNCHECKED_KV_CACHE_TYPE.holds(version, if_unknown=True)
        known = OF_OLLAMA if is_old else OF_LLAMA_CPP
        value = text(setting).lower()
        if setting is None or value in known:
            return
        import difflib  # noqa: PLC0415 - most types are known

        close = _SHORT.get(value) or next(iter(difflib.get_close_matches(value, known, 1)), "")
        edit = replace(setting, subject, close) if close else None
        name = f"Ollama {shown(version)}" if version is not None else "Ollama"
        yield self.at(
            setting,
            subject,
            f'{name} has no KV cache type "{value}"',
            label="read as f16" if is_old else f"expected one of {', '.join(known)}",
            fixes=(Fix(f"write {close}", (edit,)),) if edit else (),
        )
