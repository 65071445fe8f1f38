"""OLL206: a context length that the GPU's memory chooses: the longest, on a large one."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import decided, gpu_count, may_have_gpu, number, version_of
from ollama_policy.model.settings import IMAGE, Kind, Subject
from ollama_policy.rules.edits import put
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.variables import VRAM_TIERS
from ollama_provider.ollama.sizes import text_of
from ollama_provider.ollama.versions import Behavior

_CONTEXT, _PARALLEL, _OVERHEAD = "OLLAMA_CONTEXT_LENGTH", "OLLAMA_NUM_PARALLEL", "OLLAMA_GPU_OVERHEAD"
_LARGE = 47 * 2**30  # of all GPUs together: GPUs of 48 GiB report a little less
_MODEST = "8192"


class ContextByGpuMemory(Rule):
    id = "OLL206"
    name = "context-by-gpu-memory"
    severity = Severity.INFO
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_CONTEXT,))
    summary = "a context of 262,144 tokens, because OLLAMA_CONTEXT_LENGTH is not set"
    why = (
        "Since 0.15.5 a server with 48 GiB of GPU memory or more loads each model with a context of 262,144 tokens, or "
        "with the context that it was trained for, if OLLAMA_CONTEXT_LENGTH is not set; before 0.15.5, with 4096 "
        "tokens. Llama 3.1 8B then needs 16 GiB for its KV cache, and a second model may not fit beside it. The rule "
        "reports this if the configuration sets the GPUs of the machine (`target-gpu-memory`, `target-gpu-count`)."
    )
    fix = "Set the context length with `OLLAMA_CONTEXT_LENGTH`, in tokens for each request."
    bad = (compose(image="«ollama/ollama:0.34.3»", gpus=1),)
    good = (compose("OLLAMA_CONTEXT_LENGTH: 8192", gpus=1),)
    example_target = Target(gpu_memory_bytes=80 * 2**30)
    source = "server/routes.go:2073; issue 14116"
    not_shown = "A test needs GPUs with 48 GiB of memory."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        is_known = Behavior.CONTEXT_BY_VRAM.holds(version_of(subject, target), if_unknown=True)
        if not is_known or not decided(subject, _CONTEXT) or number(subject, _CONTEXT, target):
            return
        if (number(subject, _PARALLEL, target) or 1) > 1 or (IMAGE in subject.settings and not may_have_gpu(subject)):
            return  # the former is OLL201
        count, memory = gpu_count(subject, target), target.gpu_memory_bytes
        if not count or memory is None:
            return
        there_is = count * (memory - (number(subject, _OVERHEAD, target) or 0))
        if there_is < _LARGE:
            return
        edit = put(subject, _CONTEXT, _MODEST)
        message = (
            f"each model loads with a context of {VRAM_TIERS[-1]:,} tokens, or with the one that it was trained for"
        )
        label = f"{_CONTEXT} is not set, and the GPUs have {text_of(count * memory)}"
        fixes = (Fix(f"set {_CONTEXT} to {_MODEST}", (edit,)),) if edit else ()
        image = subject.known(IMAGE)
        if image is None:
            yield self.about(subject, message, label=label, fixes=fixes)
        else:
            yield self.at(image, subject, message, label=label, fixes=fixes)
