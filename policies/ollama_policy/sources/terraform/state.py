"""Terraform's state, raw (`terraform.tfstate`, version 4) or as `terraform show -json` writes it.

Only live commands read it, and no check: what it holds was applied once, and the `.tf` says what is declared now.
Facts: Terraform's internal/states/statefile/version4.go, and its "JSON Output Format" (values).
"""

from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Kind, Setting, SourceFile, Style, Subject, Unknown
from ollama_policy.sources.syntax import json_spans
from ollama_policy.sources.terraform.models import META, RESOURCE
from ollama_policy.sources.terraform.modules.expansion import key_text
from ollama_policy.sources.terraform.plan import OUTPUTS, resources_in

SUFFIX: Final = ".tfstate"
_STATE_OUTPUTS: Final = OUTPUTS | {"digest"}
_MAX_DEPTH: Final = 32
_VERSION: Final = 4


class Stated:
    """A model as it was last applied, and the digest that it had then."""

    __slots__ = ("digest", "subject")

    def __init__(self, subject: Subject, digest: str) -> None:
        self.subject = subject
        self.digest = digest


def is_state(file: SourceFile) -> bool:
    """Whether a file is a state, by its name or its content."""
    data = file.data
    if file.path.endswith(SUFFIX):
        return True
    if not file.path.endswith(".json") or b'"terraform_version"' not in data or b'"planned_values"' in data:
        return False
    return b'"lineage"' in data or b'"values"' in data


def read(file: SourceFile) -> Iterator[Stated]:
    """The models in a state. Raises UnreadableError."""
    root = json_spans.parse(file.data)
    version = root.get("version")
    if version is not None and version.value == _VERSION:
        yield from _raw(root, file)
    elif root.get("terraform_version") is not None and version is None:
        for resource in resources_in(root.at("values", "root_module"), _MAX_DEPTH):
            yield from _shown(resource, file)
    else:
        raise UnreadableError(0, "no state", f"a state of version {_VERSION}, or `terraform show -json`")


def _raw(root: json_spans.JsonNode, file: SourceFile) -> Iterator[Stated]:
    resources = root.get("resources")
    for resource in resources.items if resources is not None else ():
        kind, name, module = (_text(resource.get(key)) for key in ("type", "name", "module"))
        instances = resource.get("instances")
        if kind != RESOURCE or _text(resource.get("mode")) != "managed" or instances is None:
            continue
        for instance in instances.items:
            values, index = instance.get("attributes"), instance.get("index_key")
            if values is None or instance.get("deposed") is not None:
                continue
            suffix = "" if index is None or index.value is None else f"[{key_text(index.value)}]"
            address = f"{module}.{kind}.{name}{suffix}" if module else f"{kind}.{name}{suffix}"
            paths = instance.get("sensitive_attributes")
            secret = {_text(path.at(0, "value")) for path in (paths.items if paths is not None else ())}
            yield _stated(address, resource.get("name") or resource, values, secret, file)


def _shown(resource: json_spans.JsonNode, file: SourceFile) -> Iterator[Stated]:
    address, values, mask = resource.get("address"), resource.get("values"), resource.get("sensitive_values")
    if _text(resource.get("type")) != RESOURCE or _text(resource.get("mode")) == "data":
        return
    if address is not None and values is not None and resource.get("deposed_key") is None:
        secret = {_text(key) for key, hidden in (mask.members if mask is not None else ()) if hidden.value is True}
        yield _stated(_text(address), address, values, secret, file)


def _stated(
    address: str, place: json_spans.JsonNode, values: json_spans.JsonNode, secret: set[str], file: SourceFile
) -> Stated:
    unit = file.path.rpartition("/")[0] or "."
    subject = Subject(Kind.MODEL, address, file, place.span, Style.JSON, unit=unit)
    for key, node in values.members:
        name = str(key.value)
        if name in META or name in _STATE_OUTPUTS or node.value is None:
            continue
        if node.members and node.value.keys() == {"value", "type"}:
            node = node.get("value") or node  # of an attribute of any type, a raw state tells the type, too
        value: Any = Unknown(f"{name} is sensitive") if name in secret else node.value
        subject.add(Setting(name, value, node.span, file, "the state", is_literal=False))
    return Stated(subject, _text(values.get("digest")).removeprefix("sha256:"))


def _text(node: json_spans.JsonNode | None) -> str:
    return node.value if node is not None and isinstance(node.value, str) else ""
