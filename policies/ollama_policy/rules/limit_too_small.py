"""OLL204: a memory limit below what is surely needed."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from ollama_policy.model.declarations import is_pinned, model_name
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.servers import decided, may_have_gpu, memory_limit, raw_text, said, version_of
from ollama_policy.model.settings import MEMORY_LIMIT, Kind, Setting, Subject
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.llama_arguments import whole
from ollama_provider.ollama.settings.variables import PROMPT_CACHE_MIB
from ollama_provider.ollama.sizes import MIB, text_of
from ollama_provider.ollama.versions import Behavior

if TYPE_CHECKING:
    from ollama_provider.ollama.names import ModelName

_CACHE = "LLAMA_ARG_CACHE_RAM"
# A tag such as 70b is the library's default, with 4 bits and more a weight: half a byte is less than any of them takes.
_BILLIONS = r"([0-9]{1,4}(?:\.[0-9]{1,2})?)b"
_BYTES_A_BILLION = 500_000_000


class LimitTooSmall(Rule):
    id = "OLL204"
    name = "limit-too-small"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((MEMORY_LIMIT,))
    summary = "less memory than resident models, or a prompt cache, may need"
    why = (
        "A limit that is too small does not make Ollama use less memory: the load fails, or the kernel ends the runner "
        "during a request, and from 0.30 on without a message that says so. The rule compares only what is certain "
        "with the limit, or with the machine in the configuration (`target-memory`), for the only server of the tree. "
        "It counts the least that resident models need, computed from their GGUF beside the declaration or from a "
        "`snapshot` that `ollama-policy fit --record` wrote; otherwise, the weights of library models, by the size in "
        "their tag. If the version is known to have a prompt cache, it adds the size to which each runner's cache may "
        "grow. `ollama-policy fit` computes the whole sum."
    )
    fix = "Raise the limit, declare fewer or smaller resident models, or lower `LLAMA_ARG_CACHE_RAM`."
    bad = (
        Example("models.yaml", "- name: llama3.1:70b\n  memory_management: manual\n"),
        compose("OLLAMA_KEEP_ALIVE: -1", "LLAMA_ARG_CACHE_RAM: 512", limit="«16g»"),
    )
    good = (
        Example("models.yaml", "- name: llama3.1:8b\n  memory_management: manual\n"),
        compose("OLLAMA_KEEP_ALIVE: -1", "LLAMA_ARG_CACHE_RAM: 512", limit="16g"),
    )
    source = "server/sched.go; issue 15474; the library's default is 4 bits for each weight"
    experiment = (
        "In a cgroup of 64 MiB the load of a model of 68 MB fails with HTTP 500, because the kernel ends the runner; "
        "in a cgroup of 512 MiB the model loads. The test needs a cgroup that it may create."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, limit = said(subject, _CACHE, target), _limit(subject)
        cache = None if setting is None else whole(raw_text(setting))
        if setting is not None and limit is not None and cache is not None and cache * MIB >= limit.value:
            yield self.at(
                setting,
                subject,
                f"the prompt cache of one runner may use {text_of(cache * MIB)}, "
                f"and the limit is {text_of(limit.value)}",
                label="in MiB, for each runner",
            )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        servers = [subject for subject in subjects if subject.kind is Kind.SERVER]
        pins = [
            subject
            for subject in subjects
            if subject.kind is Kind.MODEL and is_pinned(subject) and subject.value("host") is None
        ]
        there_is = capacity(servers, target) if pins else None
        if there_is is None:
            return
        needs = least(pins, subjects, target)
        needed = sum(needs.values())
        growth = len(needs) * _cache_bytes(servers, target)
        if not needs or needed + growth <= there_is:
            return
        limit = _limit(servers[0]) if servers else None
        of, setting = (servers[0], limit) if limit is not None else (pins[0], pins[0].known("memory_management"))
        names = ", ".join(sorted(map(str, needs)))
        if needed > there_is:
            message = f"the models that are declared resident do not fit into {text_of(there_is)}: {names}"
        else:
            message = (
                f"the models that are declared resident fit into {text_of(there_is)} only until their prompt caches "
                f"grow: {names}"
            )
        label = f"they need more than {text_of(needed)}"
        if growth:
            label += f", and may grow by {text_of(growth)}: bound the growth with {_CACHE}"
        yield self.at(setting, of, message, label=label) if setting else self.about(of, message, label=label)


def _cache_bytes(servers: Sequence[Subject], target: Target) -> int:
    """What the prompt cache of each runner may come to hold, as far as that is certain; else 0."""
    version = version_of(servers[0], target) if servers else target.version
    if not Behavior.PROMPT_CACHE.holds(version, if_unknown=False):
        return 0
    if servers and not decided(servers[0], _CACHE):
        return 0
    setting = servers[0].known(_CACHE) if servers else None
    mebibytes = PROMPT_CACHE_MIB if setting is None else whole(raw_text(setting))
    return max(0, mebibytes or 0) * MIB


def _limit(server: Subject) -> Setting | None:
    limit = server.known(MEMORY_LIMIT)
    return limit if limit is not None and isinstance(limit.value, int) and limit.value > 0 else None


def capacity(servers: Sequence[Subject], target: Target) -> int | None:
    """All the memory that there is for models; None where that is not known, or which server is meant."""
    if len(servers) > 1 or (servers and not decided(servers[0], MEMORY_LIMIT)):
        return None
    limit = memory_limit(servers[0], target) if servers else target.memory_bytes
    has_gpu = bool(target.gpu_memory_bytes or target.gpu_count or (servers and may_have_gpu(servers[0])))
    if limit is None or (has_gpu and target.gpu_memory_bytes is None):
        return None
    return limit + (target.gpu_memory_bytes or 0) * (1 if target.gpu_count is None else target.gpu_count)


def least(pins: Sequence[Subject], subjects: Sequence[Subject], target: Target) -> "dict[ModelName, int]":
    """Bytes that residents take at least, by name; what is not known is not there."""
    needs = {
        name: weights
        for one in pins
        if (name := model_name(one.value("name"))) is not None and (weights := _weights(one))
    }
    has_files = any("gguf" in one.settings for one in subjects if one.kind is Kind.MODEL)
    if target.models is None or (target.snapshot is None and not has_files):
        return needs
    return needs | target.models.least_bytes(subjects, target)


def _weights(declaration: Subject) -> int:
    """Bytes that the model's weights take at least; 0 where its name does not say."""
    name = model_name(declaration.value("name"))
    if name is None or "base" in declaration.settings or "gguf" in declaration.settings:
        return 0
    if str(name) != f"{name.model}:{name.tag}":  # not the library's
        return 0
    match = re.fullmatch(_BILLIONS, name.tag.lower())
    return int(float(match[1]) * _BYTES_A_BILLION) if match else 0
