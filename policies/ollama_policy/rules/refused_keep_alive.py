"""OLL401: a request's keep_alive that Ollama answers with HTTP 400, or takes for something else."""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from ollama_policy.model.rule import Example, Finding, Fix, Rule, Severity, Target
from ollama_policy.model.settings import ENDPOINT, Kind, Setting, Subject, rewrite
from ollama_provider.ollama.settings.variables import RefusedKeepAliveError, meant_duration, request_keep_alive

V1 = "/v1/"  # of an OpenAI or Anthropic client: there keep_alive is not read at all, see OLL402
_BODY = """#!/bin/sh
curl http://localhost:11434/api/generate -d '{{"model": "llama3", "keep_alive": {}}}'
"""


class RefusedKeepAlive(Rule):
    id = "OLL401"
    name = "refused-keep-alive"
    severity = Severity.ERROR
    kind = Kind.REQUEST
    keys: ClassVar[frozenset[str]] = frozenset(("keep_alive",))
    summary = "a request's keep_alive that Ollama refuses"
    why = (
        "In a request, keep_alive is a JSON number of seconds or a text with a Go duration. Ollama answers a text "
        'without a unit, such as `"-1"` or `"300"`, with HTTP 400, although OLLAMA_KEEP_ALIVE accepts the same text. '
        'It also refuses `""`, `"1d"`, true and an object. The request, and with it the load or unload, does not '
        "happen. Numbers of seconds from 9223372037 on are too large, and unload the model at once."
    )
    fix = 'Write a number, or a text with units: `-1`, `300`, `"5m"`, `"-1m"`.'
    bad = (Example("warm.sh", _BODY.format('«"-1"»')),)
    good = (Example("warm.sh", _BODY.format("-1")),)
    source = "api/types.go, Duration.UnmarshalJSON"
    experiment = 'Ollama answers the request with `"-1"` with HTTP 400 and loads nothing; with `-1` it pins the model.'

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, endpoint = subject.known("keep_alive"), subject.value(ENDPOINT)
        is_api = not isinstance(endpoint, str) or endpoint.startswith("/")
        if setting is None or str(endpoint).startswith(V1) or (setting.value == "" and not is_api):
            return
        value = setting.value
        try:
            is_unload = request_keep_alive(value) == 0 and isinstance(value, int | float) and value >= 1
        except RefusedKeepAliveError as error:
            is_number = isinstance(value, str) and re.fullmatch("[+-]?[0-9]+", value) is not None
            yield self.at(
                setting,
                subject,
                f"Ollama refuses this {'request' if is_api else 'command'}: its keep_alive {_kind(value)}",
                label="a text needs a unit" if is_number else str(error),
                fixes=tuple(_fixes(setting, subject, value)),
            )
        else:
            if is_unload:
                yield self.at(
                    setting, subject, "this keep_alive is too large, so Ollama unloads the model", label="read as 0"
                )


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}" is not a duration'
    if isinstance(value, float):
        return "is not a JSON number"
    return f"is neither a number nor a text, but {'a boolean' if isinstance(value, bool) else 'an object or a list'}"


def _fixes(setting: Setting, subject: Subject, value: Any) -> Iterator[Fix]:
    meant = meant_duration(value) if isinstance(value, str) else None
    is_as_written = setting.written.strip("\"'") == value  # no escapes, no other language around it
    edit = rewrite(setting, meant) if meant and is_as_written else None
    if edit is not None:
        yield Fix(f'write "{meant}"', (edit,), is_safe=True)
