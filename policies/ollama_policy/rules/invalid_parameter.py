"""OLL405: a model parameter in a request or a Modelfile that Ollama refuses for its type, or does not know."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.declarations import contains_unknown
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.settings import ENDPOINT, Kind, Subject
from ollama_policy.rules.removed_parameter import sent_parameters
from ollama_provider.ollama.parameters import (
    REMOVED_PARAMETERS,
    refusal_in_json,
    refusal_in_modelfile,
    refusal_of_name,
)

_BODY = """#!/bin/sh
curl http://ollama:11434/api/generate -d '{{"model": "llama3", "options": {{{}}}}}'
"""
_REFUSED_BY_CREATE = "`ollama create` refuses this Modelfile because of its {}"
_REFUSED = "Ollama refuses this request because of its {}, with HTTP 500"
_TAKEN = "Ollama accepts this {}, but answers each call of the model with HTTP 500"
_IGNORED = "Ollama ignores {} and only logs a warning"


class InvalidParameter(Rule):
    id = "OLL405"
    name = "invalid-parameter"
    severity = Severity.ERROR
    kind = Kind.REQUEST
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = "a model parameter of the wrong type, or one that does not exist"
    why = (
        'Ollama answers a request with HTTP 500 if its options have a number as text, such as `"num_ctx": "8192"`. '
        "/api/create accepts any value, and then each call of that model fails in the same way. The values of a "
        "Modelfile are texts: `ollama create` refuses a value that is not a number, such as `8k`, and a name that is "
        "not a parameter, such as keep_alive. In a request, Ollama ignores such a name and only logs a warning: the "
        "option has no effect."
    )
    fix = "Write the value in the parameter's type. If it is not a parameter, move it to where it belongs."
    bad = (
        Example("ask.sh", _BODY.format('"num_ctx": «"8192"», "keep_alive": «-1»')),
        Example("Modelfile", "FROM llama3\nPARAMETER num_ctx «8k»\nPARAMETER keep_alive «-1»\n"),
    )
    good = (
        Example("ask.sh", _BODY.format('"num_ctx": 8192')),
        Example("Modelfile", "FROM llama3\nPARAMETER num_ctx 8192\n"),
    )
    source = "api/types.go of 0.34.3: FromMap, FormatParams; server/routes.go:3175, handleScheduleError"
    experiment = (
        "A request with a number as text fails with HTTP 500, and so does each call of a model that was created with "
        "one; for an option that does not exist, the server logs a warning. `ollama create` refuses both in a "
        "Modelfile."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        is_modelfile = subject.value(ENDPOINT) == "Modelfile"
        refusal = refusal_in_modelfile if is_modelfile else refusal_in_json
        for name, value, setting in sent_parameters(subject):
            if name in REMOVED_PARAMETERS:
                continue  # OLL404
            if expected := refusal_of_name(name):
                message = _REFUSED_BY_CREATE.format(name) if is_modelfile else _IGNORED.format(name)
                severity = None if is_modelfile else Severity.WARNING
                yield self.at(setting, subject, message, label=f"expected {expected}")._replace(severity=severity)
            elif not contains_unknown(value) and (expected := refusal(name, value)):
                told = _REFUSED_BY_CREATE if is_modelfile else _TAKEN if setting.key == "parameters" else _REFUSED
                yield self.at(setting, subject, told.format(name), label=f"expected {expected}")
