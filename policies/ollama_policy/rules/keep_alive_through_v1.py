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
        "The endpoints under /v1 follow the protocols of other services, which have no keep_alive: Ollama ignores it "
        "without a message. A model in memory keeps its timer, and a model that the call loads gets the server's "
        "OLLAMA_KEEP_ALIVE."
    )
    fix = "Call /api/chat or /api/generate, set OLLAMA_KEEP_ALIVE on the server, or declare the model."
    bad = (Example("ask.sh", _BODY.format("/v1/chat/completions", '«"30m"»')),)
    good = (Example("ask.sh", _BODY.format("/api/chat", '"30m"')),)
    source = "openai/openai.go; issue 9355"
    experiment = (
        "After a call through /v1 with 30 minutes the model has five minutes; after a call through /api/chat it has 30."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, endpoint = subject.settings.get("keep_alive"), subject.value(ENDPOINT)
        if setting is not None and isinstance(endpoint, str) and endpoint.startswith(V1):
            yield self.at(
                setting,
                subject,
                f"Ollama ignores keep_alive in {endpoint}",
                label="only endpoints under /api/ accept keep_alive",
            )
