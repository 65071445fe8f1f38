"""OLL002: a declaration that the resource refuses. Model.py is the judge; it is imported only where there is doubt."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from ollama_policy.model.declaration_table import PROPERTIES
from ollama_policy.model.declarations import certainly_valid, split
from ollama_policy.model.rule import Example, Finding, Fix, Rule, Severity, Target
from ollama_policy.model.settings import Kind, Subject
from ollama_policy.rules.edits import replace

if TYPE_CHECKING:
    from ollama_provider.model import Problem  # imports pydantic, 0.1 s

REFUSED = "an apply refuses this"
_OF_A_NAME = "Write another name, or another tag: [registry[:port]/][namespace/]model[:tag]."
_OF_A_PROPERTY = "Write the expected value; the schema in `schemas/` gives editors the same list."
_SUGGESTION = r" \(did you mean '([^']*)'\?\)$"


class InvalidDeclaration(Rule):
    id = "OLL002"
    name = "invalid-declaration"
    severity = Severity.ERROR
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = PROPERTIES - {"keep_alive"}
    summary = "a declaration that the resource refuses"
    why = (
        "An apply refuses it before it does anything: a property that does not exist, a value that is not accepted, "
        'two properties that exclude each other, such as `resident` and `"automatic"`, or a name by which Ollama '
        "reaches another model. For example, from 0.18.0 on a delete of `chat:local` deletes `chat:latest`."
    )
    fix = (
        "Write the expected value; the schema in `schemas/` gives editors the same list. For a name, write another "
        "name or another tag."
    )
    bad = (
        Example(
            "models.tf",
            'resource "ollama_model" "chat" {\n  name              = "llama3"\n  memory_management = «"manuel"»\n}\n',
        ),
        Example(
            "models.yaml",
            "models:\n  - name: llama3\n    memory_management: manual\n    pull_policy: «sometimes»\n",
        ),
        Example("tags.yaml", "models:\n  - name: «chat:local»\n    memory_management: manual\n"),
    )
    good = (
        Example(
            "models.tf",
            'resource "ollama_model" "chat" {\n  name              = "llama3"\n  memory_management = "manual"\n}\n',
        ),
        Example(
            "models.yaml",
            "models:\n  - name: llama3\n    memory_management: manual\n    pull_policy: always\n",
        ),
        Example("tags.yaml", "models:\n  - name: chat:here\n    memory_management: manual\n"),
    )
    source = "ollama_provider/model.py, which defines a declaration's fields"
    experiment = (
        "An apply refuses each declaration before it sends a request; the corrected declaration loads and pins the "
        "model. A delete of `chat:local` deletes `chat:latest` and leaves `chat:local`."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        problems = problems_in(subject)
        if not problems:
            return
        by_key: dict[str, list[Problem]] = {}
        for problem in problems:
            key = str(problem.path[0])
            is_left_out = subject.is_fragment and key == "name" and key not in subject.settings
            if key != "keep_alive" and not is_left_out:
                by_key.setdefault(key, []).append(problem)
        for key, problems in by_key.items():
            message = "; ".join(map(str, problems))
            suggestion = suggested(problems[0])
            label = f'did you mean "{suggestion}"?' if suggestion else REFUSED
            advice = _OF_A_NAME if key in ("name", "base") else _OF_A_PROPERTY
            setting = subject.settings.get(key)
            if setting is None:
                yield self.about(subject, message, label=label, advice=advice)
                continue
            is_value = suggestion and key in PROPERTIES and isinstance(setting.value, str)
            is_offered = is_value and not adds_problem(subject, key, suggestion)
            edit = replace(setting, subject, suggestion) if is_offered else None
            fixes = (Fix(f'write "{suggestion}"', (edit,), is_safe=True),) if edit else ()
            yield self.at(setting, subject, message, label=label, fixes=fixes, advice=advice)


def suggested(problem: "Problem") -> str:
    """What the problem's text says was probably meant."""
    match = re.search(_SUGGESTION, problem.expected)
    return match[1] if match else ""


def would_be_refused(subject: Subject, key: str, value: Any) -> bool:
    """Whether an apply would refuse a declaration, had it this value. Of a part of one, the name need not be there."""
    values, unknown = split(subject)
    if subject.is_fragment and "name" not in values:
        unknown |= {"name"}
    return bool(_problems(values | {key: value}, unknown - {key}))


def adds_problem(subject: Subject, key: str, value: Any) -> bool:
    """Whether an apply would refuse a declaration for another reason than now, had it this value."""
    values, unknown = split(subject)
    after = _problems(values | {key: value}, unknown - {key})
    return bool(after) and not set(map(str, after)) <= {str(one) for one in _problems(values, unknown)}


def problems_in(subject: Subject) -> "list[Problem]":
    """All that ollama_provider.model finds wrong. A `gguf` file is not opened: nothing here reads files."""
    return _problems(*split(subject))


def _problems(values: dict[str, Any], unknown: frozenset[str]) -> "list[Problem]":
    if certainly_valid(values, unknown):
        return []
    from ollama_provider.model import problems_of  # noqa: PLC0415 - imports pydantic, 0.1 s

    return problems_of(values, unknown, opens_files=False)
