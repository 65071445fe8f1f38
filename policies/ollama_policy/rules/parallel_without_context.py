"""OLL201: several requests at a time, each with a context whose size nobody said."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import decided, number, said, version_of
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import put
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.parallelism import runs_one_at_a_time
from ollama_provider.ollama.settings.variables import VRAM_TIERS
from ollama_provider.ollama.versions import Behavior

_PARALLEL, _CONTEXT = "OLLAMA_NUM_PARALLEL", "OLLAMA_CONTEXT_LENGTH"
_DEFAULT = str(VRAM_TIERS[0])  # without a GPU, and the least with one: a fix does not take more memory


class ParallelWithoutContext(Rule):
    id = "OLL201"
    name = "parallel-without-context"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_PARALLEL, _CONTEXT))
    summary = "OLLAMA_NUM_PARALLEL without OLLAMA_CONTEXT_LENGTH"
    why = (
        "Ollama reserves KV cache for every parallel request. Since 0.15.5 the context length depends on the GPU's "
        "memory: 32768 or 262144 tokens with a large GPU, and 4096 with a small one or none. That choice ignores "
        "OLLAMA_NUM_PARALLEL: Llama 3.1 8B needs 4 GiB for one context of 32768 tokens, and 16 GiB for four. The rule "
        "reports nothing if Ollama runs all declared models one request at a time whatever the variable says: "
        "embedding models, and the architectures that its scheduler lists, such as those of qwen3-vl, qwen3.5 and "
        "lfm2."
    )
    fix = (
        "Set the context length with `OLLAMA_CONTEXT_LENGTH`, in tokens for each request. Without a GPU the default is "
        "4096."
    )
    bad = (compose("OLLAMA_NUM_PARALLEL: «4»"),)
    good = (compose("OLLAMA_NUM_PARALLEL: 4", "OLLAMA_CONTEXT_LENGTH: 8192"),)
    source = "issues 14116 and 14073; server/sched.go:509, 514"
    experiment = (
        "The runner starts with four times the server's default context, which is 4096 on a CPU; with "
        "OLLAMA_CONTEXT_LENGTH, it starts with four times that value. The fix writes 4096, so both are the same here. "
        "A longer default needs a GPU."
    )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        names = [subject.value("name") for subject in subjects if subject.kind is Kind.MODEL]
        if names and all(isinstance(name, str) and runs_one_at_a_time(name) for name in names):
            return
        for subject in subjects:
            if subject.kind is Kind.SERVER:
                yield from self._in_server(subject, target)

    def _in_server(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, version = said(subject, _PARALLEL, target), version_of(subject, target)
        parallel = number(subject, _PARALLEL, target)
        if setting is None or parallel is None or parallel < 2 or not decided(subject, _CONTEXT):
            return
        if number(subject, _CONTEXT, target) or not Behavior.CONTEXT_BY_VRAM.holds(version, if_unknown=True):
            return
        edit = put(subject, _CONTEXT, _DEFAULT)
        yield self.at(
            setting,
            subject,
            f"Ollama reserves {parallel} contexts, each of {_DEFAULT} tokens without a GPU, and with a GPU as long "
            "as its memory suggests for a single context",
            label=f"{_CONTEXT} is not set",
            fixes=(Fix(f"set {_CONTEXT} to {_DEFAULT}", (edit,)),) if edit else (),
        )
