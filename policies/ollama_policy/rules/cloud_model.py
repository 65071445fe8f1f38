"""OLL007: a model that runs elsewhere, so that what is declared of its memory does nothing."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.declarations import AUTOMATIC, is_cloud_name, mode_of, shown_name
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.settings import Kind, Subject

_MODEL = (
    'resource "ollama_model" "chat" {{\n  name              = {}\n  memory_management = "automatic"\n'
    '  keep_alive        = "5m"\n}}\n'
)


class CloudModel(Rule):
    id = "OLL007"
    name = "cloud-model"
    severity = Severity.INFO
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset(("name", "base"))
    summary = "a model that runs on ollama.com, where a declaration cannot manage its memory"
    why = (
        "From 0.18.0 on, Ollama sends each call of a name whose tag is `cloud`, or ends in `-cloud`, to ollama.com. "
        "The declared server does not hold the model in memory: `automatic` and `keep_alive` have no effect, and an "
        "apply refuses `manual`. Prompts leave the machine."
    )
    fix = "Declare a model that runs on the server. If you want the cloud model, leave the declaration as it is."
    bad = (Example("models.tf", _MODEL.format('«"gpt-oss:120b-cloud"»')),)
    good = (Example("models.tf", _MODEL.format('"gpt-oss:20b"')),)
    experiment = (
        "On a server that may not reach the cloud, Ollama refuses each call of the name for that reason, and /api/ps "
        "lists no model. The server loads the model of the good example, and its timer runs."
    )
    source = "internal/modelref/modelref.go, server/routes.go"

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        if mode_of(subject) != AUTOMATIC:
            return  # "manual" is refused: OLL002
        for key in ("name", "base"):
            setting = subject.settings.get(key)
            if setting is not None and is_cloud_name(setting.value):
                yield self.at(
                    setting,
                    subject,
                    f"{shown_name(subject)} runs on ollama.com: this server does not hold it in memory",
                    label="this declaration cannot release, pin or bound it",
                )
                return
