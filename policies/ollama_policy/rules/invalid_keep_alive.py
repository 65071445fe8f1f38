"""OLL003: a declaration's keep_alive that is not a finite Go duration, or that stands beside "manual"."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.declarations import MANUAL, is_finite_duration, mode_of
from ollama_policy.model.rule import Example, Finding, Fix, Rule, Severity, Target
from ollama_policy.model.settings import Kind, Setting, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.invalid_declaration import REFUSED, adds_problem, problems_in
from ollama_provider.ollama.settings.variables import meant_duration, text_of

_BESIDE_MANUAL = 'Delete keep_alive, or write `memory_management = "automatic"`, which uses it.'


class InvalidKeepAlive(Rule):
    id = "OLL003"
    name = "invalid-keep-alive"
    severity = Severity.ERROR
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset(("keep_alive", "memory_management"))
    summary = 'a keep_alive that is not a finite Go duration, or that is set with "manual"'
    why = (
        "Go durations are numbers with the units h, m, s and smaller, without spaces. Days and weeks do not exist, and "
        'Ollama answers a request with `"300"` or `"10 minutes"` with HTTP 400. A negative duration means forever; for '
        'that, use `memory_management = "manual"`. With `"manual"`, keep_alive has no meaning.'
    )
    fix = "Write a duration such as `5m`, `1h30m` or `24h`."
    bad = (
        Example(
            "models.tf",
            'resource "ollama_model" "chat" {\n  name       = "llama3"\n  keep_alive = «"10 minutes"»\n}\n',
        ),
        Example("models.yaml", "- name: llama3\n  memory_management: automatic\n  keep_alive: «300»\n"),
    )
    good = (
        Example(
            "models.tf",
            'resource "ollama_model" "chat" {\n  name       = "llama3"\n  keep_alive = "10m"\n}\n',
        ),
        Example("models.yaml", "- name: llama3\n  memory_management: automatic\n  keep_alive: 300s\n"),
    )
    source = "api/types.go, Duration.UnmarshalJSON; Go's time.ParseDuration"
    experiment = (
        'Ollama answers a request with "10 minutes" with HTTP 400 and loads nothing; with `10m` the model stays in '
        "memory for ten minutes."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting = subject.known("keep_alive")
        if setting is None or setting.value is None:
            return
        if is_finite_duration(setting.value) and mode_of(subject) != MANUAL:
            return
        advice = _BESIDE_MANUAL if mode_of(subject) == MANUAL else ""
        for problem in problems_in(subject):
            if problem.path[0] == "keep_alive":
                fixes = tuple(_fixes(setting, subject))
                yield self.at(setting, subject, str(problem), label=REFUSED, fixes=fixes, advice=advice)


def _fixes(setting: Setting, subject: Subject) -> Iterator[Fix]:
    if isinstance(setting.value, bool) or not isinstance(setting.value, str | int):
        return
    meant = meant_duration(text_of(setting.value))
    if meant is None or meant.startswith("-") or adds_problem(subject, "keep_alive", meant):
        return
    edit = replace(setting, subject, meant)
    if edit is not None:
        yield Fix(f'write "{meant}"', (edit,), is_safe=True)
