"""OLL006: two declarations of what is applied together that cannot both be true."""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from ollama_policy.model.declarations import (
    AUTOMATIC,
    contains_unknown,
    is_pinned,
    last_part,
    mode_of,
    model_name,
    shown_name,
)
from ollama_policy.model.one_server import groups
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.servers import decided
from ollama_policy.model.settings import Kind, Setting, Span, Subject
from ollama_provider.ollama import durations

if TYPE_CHECKING:
    from ollama_provider.ollama.names import ModelName

_MEMORY = ("memory_management", "keep_alive", "resident")
_BASE = 'resource "ollama_model" "base" {{\n  name              = "llama3"\n  {}\n}}\n\n'
_VARIANT = (
    'resource "ollama_model" "variant" {{\n  name              = "llama3-long"\n  base              = {}\n'
    '  memory_management = "manual"\n  parameters        = {{ num_ctx = 8192 }}\n}}\n'
)


class ConflictingDeclarations(Rule):
    id = "OLL006"
    name = "conflicting-declarations"
    severity = Severity.ERROR
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset(("name", "host", "base", "gguf", *_MEMORY))
    summary = "two declarations that cannot both be true"
    why = (
        "A server identifies a runner by its GGUF file, not by its name, and a file has one runner. Two resident "
        "models that share a file, such as a base and its variant or two variants, evict each other, and each eviction "
        "loses a pin. If one name is declared twice with different memory settings, every apply changes the settings "
        "back and forth. If the settings are equal, removing one of the two declarations takes the model away from the "
        "other."
    )
    fix = "Declare a model once, and make only one of the names that share a file resident."
    bad = (
        Example(
            "models.tf",
            _BASE.format('memory_management = "manual"') + _VARIANT.format('«"llama3"»'),
        ),
        Example(
            "models.yaml",
            "- name: phi3\n  memory_management: manual\n- name: «phi3:latest»\n  keep_alive: 5m\n",
        ),
    )
    good = (
        Example(
            "models.tf",
            _BASE.format('keep_alive        = "5m"') + _VARIANT.format('"llama3"'),
        ),
        Example(
            "models.yaml",
            "- name: phi3\n  memory_management: manual\n- name: phi3:mini\n  keep_alive: 5m\n",
        ),
    )
    source = "server/sched.go: Ollama finds a runner by its model's path; issues 10948 and 10605"
    experiment = (
        "The load of the variant ends the base's runner, and the next load of the base ends the variant's: after that, "
        "neither is pinned. If only one of the two is resident, it stays in memory."
    )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        for declarations in groups(subjects):
            if len(declarations) < 2:
                continue
            yield from self._twice(declarations)
            if any("base" in subject.settings or "gguf" in subject.settings for subject in declarations):
                yield from self._one_file(declarations)

    def _twice(self, declarations: list[Subject]) -> Iterator[Finding]:
        by_name: dict[ModelName, Subject] = {}
        named = [(subject, subject.settings["name"]) for subject in declarations if "name" in subject.settings]
        for subject, setting in _alike(named):
            name = model_name(setting.value)
            if name is None:
                continue
            first = by_name.setdefault(name, subject)
            if first is subject or not are_two_resources(first, subject):
                continue
            differ = _differ(first, subject)
            yield self.at(
                setting,
                subject,
                f"{shown_name(subject)} is declared twice{', with different memory settings' if differ else ''}",
                label=f"{first.address} {'declares it differently' if differ else 'declares the same model'}",
            )

    def _one_file(self, declarations: list[Subject]) -> Iterator[Finding]:
        by_file: dict[Hashable, list[tuple[Subject, Setting]]] = defaultdict(list)
        pinned = [(subject, _said_by(subject)) for subject in declarations if is_pinned(subject)]
        for subject, setting in _alike([(subject, setting) for subject, setting in pinned if setting is not None]):
            file = setting.value if setting.key == "gguf" else model_name(setting.value)
            if file is not None and isinstance(file, Hashable):
                by_file[file].append((subject, setting))
        for sharing in by_file.values():
            sharing.sort(key=lambda pair: pair[1].key == "name")  # a finding stands at a variant, not at its base
            for (subject, setting), (other, _) in combinations(sharing, 2):
                names = {model_name(subject.value("name")), model_name(other.value("name"))}
                if len(names) == 2 and None not in names and not _is_same_place(subject, other):
                    yield self.at(
                        setting,
                        subject,
                        f"{shown_name(subject)} and {shown_name(other)} cannot both stay in memory",
                        label="both use one file, which has one runner: they evict each other",
                    )
                    break


def _alike(pairs: list[tuple[Subject, Setting]]) -> list[tuple[Subject, Setting]]:
    """Those whose setting may say the same as another's: few do, and to read all names would take longer than this."""
    texts = [last_part(str(setting.value)) for _, setting in pairs]
    count = Counter(texts)
    return [pair for pair, text in zip(pairs, texts, strict=True) if count[text] > 1]


def _said_by(subject: Subject) -> Setting | None:
    """The setting that says which GGUF file the model is."""
    if not decided(subject, "base") or not decided(subject, "gguf"):
        return None
    return next((subject.settings[key] for key in ("base", "gguf", "name") if subject.value(key) is not None), None)


def are_two_resources(one: Subject, other: Subject) -> bool:
    """Whether two declarations of one name are surely two: a module that is used twice may be for two servers."""
    return not _is_same_place(one, other) or _are_keys_of_one(one, other)


def _is_same_place(one: Subject, other: Subject) -> bool:
    """Whether both are instances of one block: of a count, a for_each or a module that is used twice."""
    return (one.file.path, one.span) == (other.file.path, other.span) and one.span != Span(0, 0)


def _are_keys_of_one(one: Subject, other: Subject) -> bool:
    """Whether both are of one resource block in one module: two keys of its for_each, or two of its count."""
    keys = {re.sub(r"\[[^\[]*\]$", "", subject.address) for subject in (one, other)}
    return len(keys) == 1 and one.address != other.address and not keys & {one.address, other.address}


def _differ(one: Subject, other: Subject) -> bool:
    pairs = [(_memory(one, key), _memory(other, key)) for key in _MEMORY]
    return not contains_unknown(pairs) and all(map(_decided, (one, other))) and any(a != b for a, b in pairs)


def _decided(subject: Subject) -> bool:
    return all(decided(subject, key) for key in _MEMORY)


def _memory(subject: Subject, key: str) -> Any:
    if key == "memory_management":
        return mode_of(subject)
    if key == "resident" and mode_of(subject) != AUTOMATIC:
        return is_pinned(subject)
    value = subject.value(key)
    try:
        return durations.parse(value) if key == "keep_alive" and isinstance(value, str) else value
    except durations.InvalidDurationError:
        return value
