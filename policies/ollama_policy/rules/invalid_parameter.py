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
_REFUSED_BY_CREATE = "`ollama create` refuses this Modelfile for its {}"
_REFUSED = "Ollama refuses this request for its {}, with HTTP 500"
_TAKEN = "Ollama takes this {}, and answers each call of the model with HTTP 500"
_IGNORED = "Ollama ignores {}, and only its log says so"


class InvalidParameter(Rule):
    id = "OLL405"
    name = "invalid-parameter"
    severity = Severity.ERROR
    kind = Kind.REQUEST
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = "a model parameter of the wrong type, or one that does not exist"
    why = (
        'HTTP 500 is the answer to a request whose options have a number as text, such as `"num_ctx": "8192"`. '
        "/api/create takes any value, and then each call of that model is answered so. A Modelfile's values are texts, "
        "and `ollama create` refuses one that is not a number, such as `8k`, and a name that is not a parameter, such "
        "as keep_alive. In a request such a name is ignored, and only the server's log says so: the option does "
        "nothing."
    )
    fix = "Write the value in the parameter's type; write what is not a parameter where it belongs."
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
        "A request with a number as text is HTTP 500, and so is each call of a model that was created with one; for an "
        "option that does not exist, the log has a warning. `ollama create` refuses both in a Modelfile."
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
