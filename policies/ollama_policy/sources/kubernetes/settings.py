"""Settings of a container as Kubernetes' and Helm's YAML writes them: variables, and limits of memory and GPUs."""

import re
from typing import Final

from ollama_policy.model.settings import (
    GPU_COUNT,
    MEMORY_LIMIT,
    Setting,
    SourceFile,
    Subject,
    Unknown,
)
from ollama_policy.sources.common.sizes import sized
from ollama_policy.sources.common.yaml_environment import Assignment, of_node, written
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_provider.ollama.sizes import Convention

_GPUS: Final = re.compile(r"(?:nvidia|amd)\.com/gpu|gpu\.intel\.com/(?:i915|xe)")
# What Kubernetes and Helm, which read YAML 1.1, take for true or false where most others read text.
_YAML_1_1: Final = re.compile(r"yes|no|on|off|[yn]", re.IGNORECASE)


def setting_of(key: str, assigned: Assignment, file: SourceFile, origin: str = "") -> Setting:
    """The setting for an assignment's text as it stands; undecided where a template or another variable fills it in."""
    text = written(assigned, file)
    node = assigned.node
    unknown = None
    if node is not None and node.is_filled_in:
        unknown = Unknown(f"{text} is filled in by a template")
    elif assigned.value is None or (node is not None and node.is_plain and _YAML_1_1.fullmatch(node.text)):
        unknown = Unknown(f"{text} is not text")
    elif "$(" in assigned.value.text:
        unknown = Unknown(f"{text} is put together from other variables")
    elif "{{" in assigned.value.text or "${" in assigned.value.text:  # Helm and Flux; envsubst and templatefile
        unknown = Unknown(f"{text} is filled in by a template")
    if unknown is not None or assigned.value is None:
        return Setting(key, unknown, assigned.span, file, origin, is_literal=False)
    return Setting(key, assigned.value.text, assigned.span, file, origin, assigned.is_literal)


def scalar_setting(key: str, node: Node, file: SourceFile, origin: str = "") -> Setting:
    """The setting for a scalar that stands alone."""
    return setting_of(key, of_node(key, node), file, origin)


def add_limits(subject: Subject, resources: Node | None, file: SourceFile) -> None:
    """Adds what `resources.limits` says of memory and GPUs."""
    limits = resources.get("limits") if resources is not None else None
    for key, node in limits.members if limits is not None else ():
        if not node.is_scalar or node.is_null:
            continue
        if key.text == "memory":
            subject.add(sized(scalar_setting(MEMORY_LIMIT, node, file), Convention.KUBERNETES))
        elif _GPUS.fullmatch(key.text):
            setting = scalar_setting(GPU_COUNT, node, file)
            if isinstance(setting.value, str):
                digits = setting.value
                is_count = digits.isdecimal() and len(digits) < 4
                setting.value = int(digits) if is_count else Unknown(f"{digits} is not a number of GPUs")
            subject.add(setting)
