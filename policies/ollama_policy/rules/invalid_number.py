"""OLL103: a number that Ollama cannot read, and takes its default for."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import said, text
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.variables import VARIABLES, Reading, env_uint
from ollama_provider.ollama.sizes import bytes_of

_NAMES = tuple(name for name, variable in VARIABLES.items() if variable.reading is Reading.NUMBER)
_BYTES = frozenset(("OLLAMA_GPU_OVERHEAD", "OLLAMA_MAX_VRAM"))


class InvalidNumber(Rule):
    id = "OLL103"
    name = "invalid-number"
    severity = Severity.ERROR
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset(_NAMES)
    summary = "an invalid number in a server's variable, so Ollama uses the default"
    why = (
        "A number in a server's variable consists of digits only. With `-1`, `auto`, `1GB`, `1.0`, `0x10` or `1e3`, "
        "Ollama logs a warning and uses the default. OLLAMA_GPU_OVERHEAD is in bytes, and its default is 0."
    )
    fix = "Write digits only, or delete the variable to use the default."
    bad = (compose("OLLAMA_GPU_OVERHEAD: «1GB»"),)
    good = (compose('OLLAMA_GPU_OVERHEAD: "1073741824"'),)
    source = "envconfig/config.go, Uint and Uint64"
    experiment = "With `1GB` the server logs a warning and uses 0; with digits it uses that number of bytes."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        for name in _NAMES:
            setting = said(subject, name, target)
            value = text(setting)
            if setting is None or env_uint(value) is not None:
                continue
            size = bytes_of(value) if name in _BYTES else None
            meant = str(size) if size else ""
            edit = replace(setting, subject, meant) if meant else None
            yield self.at(
                setting,
                subject,
                f'{name} "{value}" is not a whole number: Ollama uses its default, {VARIABLES[name].default}',
                label="digits only" + (", in bytes" if name in _BYTES else ""),
                fixes=(Fix(f"write {meant}", (edit,)),) if edit else (),
            )
