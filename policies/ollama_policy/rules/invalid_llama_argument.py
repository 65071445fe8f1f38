"""OLL110: a LLAMA_ARG_* whose text llama.cpp refuses, or reads as something else."""

import re
from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import raw_text, version_of
from ollama_policy.model.settings import Edit, Kind, Setting, Style, Subject
from ollama_policy.rules.edits import replace
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.settings.llama_arguments import ARGUMENTS, PREFIX, misreading
from ollama_provider.ollama.sizes import MIB, bytes_of
from ollama_provider.ollama.versions import Behavior

_SIZES = frozenset(f"{PREFIX}{name}" for name in ("CACHE_RAM", "FIT_TARGET"))
_ENV_FILE = r"\.env.*|.*\.env"


class InvalidLlamaArgument(Rule):
    id = "OLL110"
    name = "invalid-llama-argument"
    severity = Severity.ERROR
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset(ARGUMENTS)
    summary = "a LLAMA_ARG_* value that llama.cpp refuses or misreads"
    why = (
        "Ollama passes LLAMA_ARG_* on without reading them, and llama.cpp's server reads them in its own way. Numbers "
        "are digits, and llama.cpp cuts off what follows, so `1GB` is 1 MiB. `auto`, an empty text and a text in "
        "quotes are not numbers. If llama-server cannot read a text, it exits and no model loads. Unlike Ollama's own "
        "variables, these are not trimmed, and quotes are part of the text: `docker run --env-file` keeps the quotes "
        "of an env file."
    )
    fix = "Write the expected value, such as `1024` for a size of 1 GiB, or delete the variable."
    bad = (compose("LLAMA_ARG_CACHE_RAM: «auto»"),)
    good = (compose("LLAMA_ARG_CACHE_RAM: 1024"),)
    source = "llama.cpp common/arg.cpp, std::stoi on the bare text; measured on 0.34.3"
    experiment = (
        "With `auto`, and with an empty text, each load fails with HTTP 500; with `1GB` the runner logs a prompt cache "
        "of 1 MiB; with digits the model loads."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        if not Behavior.LLAMA_SERVER.holds(version_of(subject, target), if_unknown=True):
            return
        for name, setting in subject.settings.items():
            if name not in ARGUMENTS or not setting.is_known or setting.value is None:
                continue
            value = raw_text(setting)
            wrong = misreading(name, value)
            if wrong is not None:
                found = self.at(
                    setting,
                    subject,
                    f'{name} "{value}": {wrong.what}',
                    label=f"expected {wrong.expected}",
                    fixes=_fixes(name, value, setting, subject),
                    advice="" if name in _SIZES else "Write the expected value, or delete the variable.",
                )
                is_harmless = not wrong.is_refused and name not in _SIZES
                yield found._replace(severity=Severity.WARNING) if is_harmless else found
            elif _keeps_quotes(setting, subject) and misreading(name, setting.written) is not None:
                yield self.at(
                    setting,
                    subject,
                    f"{name} {setting.written}: `docker run --env-file` keeps the quotes, and no model loads",
                    label="other programs remove the quotes: leave them out",
                    fixes=_fixes(name, value, setting, subject),
                )._replace(severity=Severity.WARNING)


def _keeps_quotes(setting: Setting, subject: Subject) -> bool:
    """Whether it stands in quotes in an env file of its own: which program reads that file is not known."""
    name = setting.file.path.rpartition("/")[2]
    is_env_file = subject.is_open and subject.address == name and re.fullmatch(_ENV_FILE, name) is not None
    return is_env_file and subject.style is Style.BARE and setting.written[:1] in ('"', "'")


def _mebibytes(value: str) -> str:
    """What llama.cpp takes for an amount, a number of MiB; the value itself where it is not one of whole MiB."""
    size = None if value.isdigit() else bytes_of(value)
    return str(size // MIB) if size and size % MIB == 0 else value


def _fixes(name: str, value: str, setting: Setting, subject: Subject) -> tuple[Fix, ...]:
    meant = _mebibytes(value.strip(" \t\"'")) if name in _SIZES else value
    if not meant or misreading(name, meant) is not None:
        return ()
    if _keeps_quotes(setting, subject):
        return (Fix(f"write {meant}", (Edit(setting.file, setting.span, meant),)),)
    edit = replace(setting, subject, meant)
    return (Fix(f"write {meant}", (edit,)),) if edit else ()
