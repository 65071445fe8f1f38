"""OLL402: a keep_alive for an endpoint that does not have it."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.settings import ENDPOINT, Kind, Subject
from ollama_policy.rules.refused_keep_alive import V1

_BODY = """#!/bin/sh
curl http://localhost:11434{} -d '{{"model": "llama3", "messages": [], "keep_alive": {}}}'
"""


class KeepAliveThroughV1(Rule):
    id = "OLL402"
    name = "keep-alive-through-v1"
    severity = Severity.WARNING
    kind = Kind.REQUEST
    keys: ClassVar[frozenset[str]] = frozenset((ENDPOINT,))
    summary = "a keep_alive through /v1, where Ollama ignores it"
    why = (
        "The endpoints under /v1 speak other services' protocols, and those have no keep_alive: it is ignored, and "
        "nothing says so. What is in memory keeps its time, and what is loaded takes the server's OLLAMA_KEEP_ALIVE."
    )
    fix = "Call /api/chat or /api/generate, set OLLAMA_KEEP_ALIVE on the server, or declare the model."
    bad = (Example("ask.sh", _BODY.format("/v1/chat/completions", '«"30m"»')),)
    good = (Example("ask.sh", _BODY.format("/api/chat", '"30m"')),)
    source = "openai/openai.go; issue 9355"
    experiment = "A call through /v1 with 30 minutes leaves the model five, one through /api/chat gives it 30."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, endpoint = subject.settings.get("keep_alive"), subject.value(ENDPOINT)
        if setting is not None and isinstance(endpoint, str) and endpoint.startswith(V1):
            yield self.at(
                setting, subject, f"Ollama ignores keep_alive in {endpoint}", label="only /api/ knows keep_alive"
            )
