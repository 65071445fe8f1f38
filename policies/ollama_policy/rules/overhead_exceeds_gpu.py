"""OLL205: more of each GPU is kept free than it has."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.servers import number, said
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.sizes import text_of

_NAME = "OLLAMA_GPU_OVERHEAD"
_LARGEST = 2**38  # bytes: no single GPU that Ollama runs on has 256 GiB to spare


class OverheadExceedsGpu(Rule):
    id = "OLL205"
    name = "overhead-exceeds-gpu"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_NAME,))
    summary = "an OLLAMA_GPU_OVERHEAD that is more than a GPU has"
    why = (
        "OLLAMA_GPU_OVERHEAD is in bytes and applies to each GPU. If it is as large as a GPU's memory, nothing fits on "
        "that GPU: every model runs on the CPU, in host memory. The rule compares it with the GPU memory that the "
        "configuration sets under `target`. Without that, it reports only a value that is more than any GPU has."
    )
    fix = "Lower the value: 1 GiB is 1073741824."
    bad = (compose('OLLAMA_GPU_OVERHEAD: «"1099511627776"»'),)
    good = (compose('OLLAMA_GPU_OVERHEAD: "1073741824"'),)
    source = "envconfig/config.go, GpuOverhead"
    not_shown = "A test needs a GPU."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, overhead = said(subject, _NAME, target), number(subject, _NAME, target)
        memory = target.gpu_memory_bytes
        if setting is None or overhead is None or overhead < (_LARGEST if memory is None else memory):
            return
        has = "more than any GPU has" if memory is None else f"which leaves nothing of its {text_of(memory)}"
        yield self.at(
            setting,
            subject,
            f"Ollama keeps {text_of(overhead)} of each GPU free, {has}: every model runs on the CPU",
            label="bytes, for each GPU",
        )
