"""OLL204: a memory limit below what is surely needed."""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from ollama_policy.declarations import is_pinned, model_name
from ollama_policy.rules.examples import compose
from ollama_policy.rules.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.servers import MIB, may_have_gpu, said, size, text
from ollama_policy.settings import MEMORY_LIMIT, Kind, Setting, Subject
from ollama_provider.ollama.variables import env_uint

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
    summary = "a memory limit below what is declared"
    why = (
        "A limit that is too small does not make Ollama careful: the load fails, or the kernel ends the runner in the "
        "middle of a request, and from 0.30 on without a message that says so. Only what is certain is compared: the "
        "weights of resident models of the library by the size in their tag, on a server without a GPU that is the "
        "only one, and the prompt cache of one runner."
    )
    fix = "Raise the limit, declare fewer or smaller resident models, or lower `LLAMA_ARG_CACHE_RAM`."
    bad = (
        Example("models.yaml", "- name: llama3.1:70b\n  memory_management: manual\n"),
        compose("OLLAMA_KEEP_ALIVE: -1", limit="«16g»"),
    )
    good = (
        Example("models.yaml", "- name: llama3.1:8b\n  memory_management: manual\n"),
        compose("OLLAMA_KEEP_ALIVE: -1", limit="16g"),
    )
    source = "server/sched.go; issue 15474; the library's default is 4 bits a weight"

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, limit = said(subject, _CACHE, target), _limit(subject)
        cache = env_uint(text(setting))
        if setting is not None and limit is not None and cache is not None and cache * MIB >= limit.value:
            yield self.at(
                setting,
                subject,
                f"the prompt cache of one runner may take {size(cache * MIB)}, and the limit is {size(limit.value)}",
                label="in MiB, for every runner",
            )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        servers = [subject for subject in subjects if subject.kind is Kind.SERVER]
        if len(servers) != 1 or may_have_gpu(servers[0]):
            return
        server, limit = servers[0], _limit(servers[0])
        weights = {
            name: least
            for subject in subjects
            if subject.kind is Kind.MODEL and is_pinned(subject) and subject.value("host") is None
            if (name := model_name(subject.value("name"))) is not None and (least := _weights(subject))
        }
        needed = sum(weights.values())
        if limit is not None and needed > limit.value:
            models = ", ".join(sorted(map(str, weights)))
            yield self.at(
                limit,
                server,
                f"{size(limit.value)} do not hold what is declared resident: {models}",
                label=f"their weights alone take more than {size(needed)}",
            )


def _limit(server: Subject) -> Setting | None:
    limit = server.known(MEMORY_LIMIT)
    return limit if limit is not None and isinstance(limit.value, int) and limit.value > 0 else None


def _weights(declaration: Subject) -> int:
    """Bytes that the model's weights take at least; 0 where its name does not say."""
    name = model_name(declaration.value("name"))
    if name is None or "base" in declaration.settings or "gguf" in declaration.settings:
        return 0
    if str(name) != f"{name.model}:{name.tag}":  # not the library's
        return 0
    match = re.fullmatch(_BILLIONS, name.tag.lower())
    return int(float(match[1]) * _BYTES_A_BILLION) if match else 0
