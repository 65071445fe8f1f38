"""Subjects built by hand: a file of lines `key = value`, each value at its place."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_policy.model.rule import Finding, Rule, Target
from ollama_policy.model.settings import Insertion, Kind, Setting, SourceFile, Span, Style, Subject, Unknown, apply

UNKNOWN = Unknown("it is set elsewhere")
ANY = Target()


def subject(
    kind: Kind,
    values: Mapping[str, Any],
    *,
    style: Style = Style.HCL,
    path: str = "main.tf",
    address: str = "ollama_model.m",
    unknown: Unknown | None = None,
) -> Subject:
    """One subject, alone in its file. Texts are written in quotes, but not in env files; Unknown as `var.x`."""
    text, places = f"# {address}\n", []
    for key, value in values.items():
        written = "var.x" if isinstance(value, Unknown) else json.dumps(value, ensure_ascii=False, default=str)
        if style is Style.BARE and isinstance(value, str):
            written = value
        start = len(f"{text}{key} = ".encode())
        places.append((key, value, Span(start, start + len(written.encode()))))
        text += f"{key} = {written}\n"
    file = SourceFile(path, text.encode())
    made = Subject(
        kind,
        address,
        file,
        Span(2, 2 + len(address.encode())),
        style,
        insertion=Insertion(len(file.data), "", " = ", "\n"),
        unknown=unknown,
    )
    for key, value, span in places:
        made.add(Setting(key, value, span, file, is_literal=not isinstance(value, Unknown)))
    return made


def model(values: Mapping[str, Any], **rest: Any) -> Subject:
    return subject(Kind.MODEL, values, **rest)


def server(values: Mapping[str, Any], **rest: Any) -> Subject:
    return subject(Kind.SERVER, values, **{"style": Style.YAML, "path": "compose.yaml", "address": "ollama"} | rest)


def request(values: Mapping[str, Any], **rest: Any) -> Subject:
    return subject(Kind.REQUEST, values, **{"style": Style.JSON, "path": "ask.json", "address": "line 1"} | rest)


def judged(rule: type[Rule], subjects: Sequence[Subject], target: Target = ANY) -> list[Finding]:
    """As the pipeline judges: each subject of the rule's kind, and then the whole tree."""
    if target.snapshot is not None or any("gguf" in one.settings for one in subjects):
        from ollama_policy.live.capacity.minimum import RecordedModels

        target = target._replace(models=RecordedModels(target.snapshot))
    made = rule()
    found = [finding for one in subjects if one.kind is rule.kind for finding in made.judge(one, target)]
    return found + list(made.judge_all(subjects, target))


def written(finding: Finding) -> str:
    """What stands in the file where the finding is."""
    return finding.file.data[finding.span.start : finding.span.end].decode()


def places(rule: type[Rule], *subjects: Subject, target: Target = ANY) -> list[str]:
    """What stands in the files where the rule finds something."""
    return [written(finding) for finding in judged(rule, subjects, target)]


def fixed(finding: Finding, number: int = 0) -> str:
    """The whole file after one of the finding's fixes."""
    return apply(finding.fixes[number].edits, finding.file.data).decode()
