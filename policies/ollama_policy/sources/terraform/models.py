"""`resource "ollama_model"` blocks as subjects."""

import re
from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.model.settings import Insertion, Kind, Setting, Span, Style, Subject, Unknown
from ollama_policy.sources.terraform import providers
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.blocks import ABSENT, Attribute, Block, Expression
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.language.scope import Scope
from ollama_policy.sources.terraform.modules.expansion import expand
from ollama_policy.sources.terraform.modules.module import Instance

RESOURCE: Final = "ollama_model"
# What Terraform itself reads in any resource.
META: Final = frozenset({"count", "for_each", "depends_on", "provider", "lifecycle", "provisioner", "connection"})
# Terraform converts to the type that the provider's schema has.
_BOOLEANS: Final = frozenset({"resident", "insecure"})
_TEXTS: Final = frozenset(
    "name memory_management keep_alive digest pull_policy base gguf system template on_destroy host".split()
)
_NAMED: Final = re.compile(r"\b(var|local|each|count|module\.[A-Za-z_][\w-]*)\.([A-Za-z_][\w-]*)")
_OWN: Final = frozenset({"name", "host", "digest", "gguf", "base"})  # what instances of one block differ in


def subjects(block: Block, instances: list[Instance]) -> Iterator[Subject]:
    """One subject for each instance of the block in each instance of its module."""
    found = []
    for instance in instances:
        for suffix, scope in expand(block, instance.scope()):
            found.append(_subject(block, instance, suffix, scope))
    if len(found) > 1:
        first = _shared(found[0])
        if any(_shared(each) != first for each in found):
            # An edit would change every instance, and they are not in the same state.
            for each in found:
                each.insertion = None
                for setting in each.settings.values():
                    setting.is_literal = False
    yield from found


def _shared(subject: Subject) -> dict[str, Any]:
    return {key: setting.value for key, setting in subject.settings.items() if key not in _OWN}


def _subject(block: Block, instance: Instance, suffix: str, scope: Scope) -> Subject:
    file = block.file
    subject = Subject(
        Kind.MODEL,
        f"{instance.prefix}{block.labels[0]}.{block.labels[1]}{suffix}",
        file,
        Span(block.start, block.header_end),
        Style.JSON if block.is_json else Style.HCL,
        unit=instance.root,
    )
    attributes = block.attributes()
    has_null = False
    for each in attributes:
        key = each.name
        if key in META or (block.is_json and key == "dynamic"):
            continue
        value = each.literal()
        if value is not ABSENT:
            value = typed(key, value)
            origin = ""
        else:
            value = typed(key, evaluate(each, scope))
            if (unknown := values.first_unknown(value)) is not None:
                value = unknown
            origin = origin_of(each, instance)
        if value is None:
            has_null = True  # as if it was not there
            continue
        subject.add(Setting(key, value, Span(each.start, each.end), file, origin, not origin))
    for inner in block.blocks():
        _add_block(subject, inner, scope)
    if block.is_json:
        for inner in block.nested("dynamic"):
            _add_block(subject, inner, scope)
    _add_provider(subject, attributes, instance)
    if not has_null:
        subject.insertion = insertion(block, attributes)
    return subject


def typed(key: str, value: Any) -> Any:
    """The value as the provider gets it: Terraform makes `true` of `"true"` and `"300"` of `300` by the schema."""
    if key in _TEXTS and not isinstance(value, str):
        converted = values.to_text(value)
    elif key in _BOOLEANS and not isinstance(value, bool):
        converted = values.to_bool(value)
    else:
        return value
    return value if isinstance(converted, Unknown) else converted


def origin_of(expression: Expression, instance: Instance) -> str:
    """Where a value that is not a literal comes from, in words."""
    names = []
    for root, name in _NAMED.findall(expression.text):
        words = instance.origin(name) if root == "var" else f"{root}.{name}"
        if words not in names:
            names.append(words)
    return ", ".join(names[:3]) or "an expression"


def _add_block(subject: Subject, block: Block, scope: Scope) -> None:
    file = subject.file
    if block.kind in META:
        return
    if block.kind == "dynamic":
        if block.labels:
            reason = Unknown(f'a dynamic "{block.labels[0]}" block')
            subject.add(Setting(block.labels[0], reason, Span(block.start, block.header_end), file, "dynamic", False))
        return
    value: Any = {each.name: evaluate(each, scope) for each in block.attributes()}
    value = values.first_unknown(value) or {key: found for key, found in value.items() if found is not None}
    subject.add(Setting(block.kind, value, Span(block.start, block.end), file, "", False))


def _add_provider(subject: Subject, attributes: list[Attribute], instance: Instance) -> None:
    """The provider's host, as one of the model where the block names an alias."""
    if "host" in subject.settings:
        return
    label = providers.label_of(attributes)
    subject.provider_host = providers.host_of(label, instance)
    named = next((each for each in attributes if each.name == "provider"), None)
    if named is not None and "." in label:
        value = subject.provider_host or Unknown(f"the host of provider {label}")
        origin = f"host of provider {label}"
        subject.add(Setting("host", value, Span(named.start, named.end), subject.file, origin, False))


def insertion(block: Block, attributes: list[Attribute]) -> Insertion | None:
    """Where another attribute can stand: on a line of its own behind `memory_management`, `name` or the last one."""
    if not attributes:
        return None
    by_name = {each.name: each for each in attributes}
    anchor = by_name.get("memory_management") or by_name.get("name") or attributes[-1]
    data = block.file.data
    line = data.rfind(b"\n", 0, anchor.name_start) + 1
    before = data[line : anchor.name_start]
    if block.is_json:
        ending = block.file.line_end
        is_own_line = not before.strip() and line > 0
        return Insertion(anchor.end, f',{ending}{before.decode()}"' if is_own_line else ', "', '": ', "")
    end = data.find(b"\n", anchor.end)
    end = len(data) if end < 0 else end
    rest = data[anchor.end : end].strip()
    if before.strip() or (rest and not rest.startswith((b"#", b"//"))):
        return None  # a block on one line has no place for a second attribute
    at = end - 1 if data[end - 1 : end] == b"\r" else end
    ending = "\r\n" if at < end else "\n"
    return Insertion(at, f"{ending}{before.decode('utf-8', 'replace')}", " = ", "")
