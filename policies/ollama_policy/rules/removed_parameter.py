"""OLL404: a model parameter that Ollama takes no longer: refused, or ignored."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ollama_policy.model.images import shown
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.servers import versions_of
from ollama_policy.model.settings import ENDPOINT, Kind, Setting, Subject
from ollama_provider.ollama.parameters import REMOVED_PARAMETERS

_OPTIONS = "options."
_BODY = """#!/bin/sh
curl http://ollama:11434/api/generate -d '{{"model": "llama3", "options": {{{}}}}}'
"""


class RemovedParameter(Rule):
    id = "OLL404"
    name = "removed-parameter"
    severity = Severity.ERROR
    kind = Kind.REQUEST
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = "a removed model parameter, which Ollama refuses or ignores"
    why = (
        "From 0.34.1 on Ollama answers a request with `typical_p` among its options with HTTP 400, and also the create "
        "of a model with `typical_p` among its parameters: the call, or the apply, fails. Ollama ignores parameters "
        "that were removed earlier, such as use_mlock, low_vram or mirostat, and only logs a warning. An apply refuses "
        "a declaration with one of those: OLL002."
    )
    fix = "Delete it; of its kind, Ollama still has `top_p` and `min_p`."
    bad = (Example("ask.sh", _BODY.format('"typical_p": «0.7»')),)
    good = (Example("ask.sh", _BODY.format('"top_p": 0.7')),)
    source = "server/routes.go:215 and server/create.go:69 of 0.34.3; api/types.go, Options"
    experiment = (
        "A request, and a create, with typical_p fails with HTTP 400; with use_mlock the server logs a warning."
    )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        versions = versions_of(subjects, target)
        for subject in subjects:
            if subject.kind is Kind.SERVER:
                continue
            for name, _, setting in sent_parameters(subject):
                removed = REMOVED_PARAMETERS.get(name)
                if removed is None or (subject.kind is Kind.MODEL and not removed.is_refused):
                    continue  # a declaration with one that is ignored is OLL002
                if not any(removed.behavior.holds(one, if_unknown=True) for one in versions):
                    continue
                since = removed.behavior.since
                assert since is not None
                if removed.is_refused:
                    message = f"from {shown(since)} on, Ollama refuses {name} with HTTP 400"
                    yield self.at(setting, subject, message, label="delete it")
                else:
                    message = f"Ollama ignores {name} and only logs a warning"
                    yield self.at(setting, subject, message, label=removed.note or "delete it")._replace(
                        severity=Severity.WARNING
                    )


def sent_parameters(subject: Subject) -> Iterator[tuple[str, Any, Setting]]:
    """The parameters that are sent to Ollama: name, value, and where it stands, itself or the whole of them."""
    whole = subject.known("parameters")
    if whole is not None and isinstance(whole.value, Mapping):
        yield from ((str(name), value, whole) for name, value in whole.value.items() if value is not None)
    endpoint: Any = subject.value(ENDPOINT)
    if subject.kind is Kind.MODEL or str(endpoint).startswith("/v1/"):
        return
    # `ollama create` reads every line of a Modelfile; of a key that a body repeats, the last counts.
    repeated = subject.repeated if endpoint == "Modelfile" else []
    for setting in (*repeated, *subject.settings.values()):
        if setting.key.startswith(_OPTIONS) and not (setting.is_known and setting.value is None):
            yield setting.key.removeprefix(_OPTIONS), setting.value, setting
