"""OLL108: names of models where the folder of all models is meant."""

import re
from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.servers import said, text
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.examples import compose

_NAME = "OLLAMA_MODELS"
_MODEL = r"[A-Za-z][\w.-]+(?:/[A-Za-z][\w.-]+)?"
# A name with a tag, or several names; a lone word may well be a folder.
_NAMES_OF_MODELS = rf"{_MODEL}:[\w.-]+|{_MODEL}(?::[\w.-]+)?(?:[,;\s]+{_MODEL}(?::[\w.-]+)?)+"


class ModelsIsAFolder(Rule):
    id = "OLL108"
    name = "models-is-a-folder"
    severity = Severity.ERROR
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((_NAME,))
    summary = "OLLAMA_MODELS with names of models: it is the folder that stores them"
    why = (
        "The server uses the value of OLLAMA_MODELS as a folder, whatever the value is, and creates the folder. It "
        "pulls no model, does not find the models in the usual folder, and stores later pulls in a folder with an odd "
        "name, often outside the volume."
    )
    fix = "Set it to a folder, or delete it. Declare the models, or pull them with `ollama pull`."
    bad = (compose('OLLAMA_MODELS: «"llama3:8b,mistral"»'),)
    good = (compose("OLLAMA_MODELS: /data/models"),)
    source = "envconfig/config.go, Models"
    experiment = "The server creates a folder with that name and has no models; with the right folder it has them."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting = said(subject, _NAME, target)
        if setting is not None and re.fullmatch(_NAMES_OF_MODELS, text(setting)[:200]):
            yield self.at(
                setting,
                subject,
                f"{_NAME} is the folder of all models, not a list of them",
                label="Ollama creates a folder with this name",
            )
