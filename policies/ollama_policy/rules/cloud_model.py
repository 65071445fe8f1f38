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
    summary = "a model that runs on ollama.com, whose memory no declaration manages"
    why = (
        "From 0.18.0 on Ollama sends each call of a name whose tag is `cloud`, or ends in `-cloud`, to ollama.com. "
        "The server that is declared holds nothing of it in memory: `automatic` and `keep_alive` have no effect, and "
        "`manual` is refused. A prompt leaves the machine."
    )
    fix = "Declare a model that runs on the server, or leave it as it is where the cloud is meant."
    bad = (Example("models.tf", _MODEL.format('«"gpt-oss:120b-cloud"»')),)
    good = (Example("models.tf", _MODEL.format('"gpt-oss:20b"')),)
    experiment = (
        "On a server that may not reach the cloud, each call of the name is refused for that reason, and nothing is in "
        "/api/ps. The model of the good example is loaded there, and its timer runs."
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
                    f"{shown_name(subject)} runs on ollama.com: this server holds nothing of it in memory",
                    label="nothing here releases, pins or bounds it",
                )
                return
