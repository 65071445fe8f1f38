"""OLL102: a text that means no to people and true to Ollama."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import said, text
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.variables import FALSE_TEXTS, TRUE_TEXTS, VARIABLES, Reading

_NAMES = tuple(name for name, variable in VARIABLES.items() if variable.reading is Reading.BOOLEAN)
# Not Go's booleans, but read as what they mean.
_MEANT_TRUE = frozenset("true t yes y on enable enabled active".split())


class BooleanReadsTrue(Rule):
    id = "OLL102"
    name = "boolean-reads-true"
    severity = Severity.ERROR
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset(_NAMES)
    summary = "a text that is not a boolean in a server's variable, so Ollama reads it as true"
    why = (
        "Ollama's booleans are 1, t, true, 0, f, false and their spellings in capitals. Ollama reads every other text "
        "that is not empty as true: `off`, `no`, `disabled` and `none` switch on what they are meant to switch off. "
        "Ollama logs nothing."
    )
    fix = "Write `0` or `1`."
    bad = (compose('OLLAMA_FLASH_ATTENTION: «"off"»'),)
    good = (compose('OLLAMA_FLASH_ATTENTION: "0"'),)
    source = "envconfig/config.go, BoolWithDefault"
    experiment = "With `off` the runner starts with flash attention on, and with `0` with flash attention off."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        for name in _NAMES:
            setting = said(subject, name, target)
            value = text(setting)
            if setting is None or value in TRUE_TEXTS | FALSE_TEXTS or value.lower() in _MEANT_TRUE or value.isdigit():
                continue
            edit = replace(setting, subject, "0")
            yield self.at(
                setting,
                subject,
                f'{name} "{value}" is read as true',
                label="Ollama reads every text except 0, f and false as true",
                fixes=(Fix("write 0", (edit,)),) if edit else (),
            )
