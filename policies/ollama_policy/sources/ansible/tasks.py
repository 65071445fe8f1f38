"""Ansible: tasks that start an Ollama container, or write a unit, an env file, a compose file or a manifest of one.

Of Jinja only plain `{{ name }}` is followed: ansible_variables.py says how far.
"""

import re
from collections.abc import Iterator
from typing import Final

from ollama_policy.model import images
from ollama_policy.model.settings import (
    GPU_COUNT,
    IMAGE,
    MEMORY_LIMIT,
    Kind,
    Setting,
    SourceFile,
    Style,
    Subject,
    Unknown,
)
from ollama_policy.sources.ansible.definitions import SUFFIXES, VARIABLES, Definitions
from ollama_policy.sources.ansible.files import WRITERS, written_servers
from ollama_policy.sources.ansible.variables import EXPRESSION, Found, Scope, filled
from ollama_policy.sources.common.containers import Role, command_text, role
from ollama_policy.sources.common.environment import SERVER_ONLY, is_variable
from ollama_policy.sources.common.sizes import sized
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.yaml_environment import Assignment, assignments, excerpt, insertion, of_node
from ollama_policy.sources.compose.services import Compose, services_subjects
from ollama_policy.sources.kubernetes.manifests import Kubernetes, object_subjects, objects
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import file_documents, template_documents

_CONTAINERS: Final = frozenset(("docker_container", "podman_container", "docker_swarm_service"))
_MODULES: Final = "|".join((*_CONTAINERS, *WRITERS, "docker_compose(?:_v2)?", "k8s", "helm")).encode()
_SIGN: Final = re.compile(rb"^[ \t-]*[\"']?(?:[a-z_]+\.){0,2}(?:" + _MODULES + rb")[\"']?[ \t]*:", re.MULTILINE)
_IS_PLAY: Final = re.compile(rb"^[ \t]*-[ \t]+(?:name|hosts|block|[a-z_.]+)[ \t]*:", re.MULTILINE)
_IS_ENVIRONMENT: Final = re.compile(r"\w*env\w*", re.ASCII)
_TEMPLATE: Final = re.compile(r".*\.ya?ml\.(?:j2|jinja2?)")
_TASKS: Final = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
_MOST_ITEMS: Final = 200  # of a loop


class Ansible:
    """Playbooks, tasks, handlers, variables, and templates of YAML files."""

    name = "ansible"

    def accepts(self, file: SourceFile) -> bool:
        if _TEMPLATE.fullmatch(file.path.lower()):
            return Compose().accepts(file) or Kubernetes().accepts(file)
        if not file.path.endswith(SUFFIXES):
            return False
        if VARIABLES.search(file.path) and b"OLLAMA_" in file.data:
            return True
        return _SIGN.search(file.data) is not None and _IS_PLAY.search(file.data) is not None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        scope = Scope(Definitions(file, tree))
        if _TEMPLATE.fullmatch(file.path.lower()):
            source = Compose() if Compose().accepts(file) else Kubernetes()
            for subject in source.read(file, tree):
                yield filled(subject, scope)
            return
        for root in file_documents(file):
            if root.is_mapping and VARIABLES.search(file.path):
                yield from _environments(root, scope)
            else:
                yield from _tasks(root, scope)


def _environments(root: Node, scope: Scope) -> Iterator[Subject]:
    """Maps of variables that are a server's by their names; what else its unit or container sets is not known."""
    for key, box in root.members:
        if not _IS_ENVIRONMENT.fullmatch(key.text) or not (box.is_mapping or box.is_sequence):
            continue
        found = list(assignments(box))
        if not any(assigned.name in SERVER_ONLY for assigned in found):
            continue
        unknown = Unknown(f"what is started with {key.text} may set more")
        subject = Subject(Kind.SERVER, key.text, scope.file, key.span, Style.YAML, unknown=unknown)
        _add_variables(subject, found, scope.file, scope)
        subject.insertion = insertion(box, scope.file)
        yield subject


def _add_variables(subject: Subject, found: list[Assignment], file: SourceFile, scope: Scope) -> None:
    for assigned in found:
        if is_variable(assigned.name):
            subject.add(scope.setting(assigned.name, assigned, file))


def _tasks(root: Node, scope: Scope) -> Iterator[Subject]:
    stack = [(item, scope) for item in reversed(root.items)]
    while stack:
        task, outer = stack.pop()
        if not task.is_mapping:
            continue
        inner = outer.within(task.get("vars"))
        yield from _task(task, inner)
        for key in reversed(_TASKS):
            box = task.get(key)
            stack += [(item, inner) for item in reversed(box.items)] if box is not None else []


def _task(task: Node, scope: Scope) -> Iterator[Subject]:
    label = task.text_at("name")
    for key, options in task.members:
        module = key.text.rpartition(".")[2]
        address = f"task {label}" if label else f"task {module}"
        if not options.is_mapping or options.text_at("state") == "absent":
            continue
        if module in _CONTAINERS:
            subject = _container(key, options, address, scope)
            if subject is not None:
                yield subject
        elif module in WRITERS:
            for inner in _each(task, scope):
                yield from written_servers(key, options, address, inner)
        else:
            for subject in _embedded(module, options, address, scope):
                yield filled(subject, scope)


def _each(task: Node, scope: Scope) -> list[Scope]:
    """The scope of each turn of a task's loop, where its items are known; one that has no item otherwise."""
    loop = task.get("loop") or task.get("with_items")
    if loop is None:
        return [scope]
    match = EXPRESSION.fullmatch(loop.text.strip())
    found = Found(loop, scope.file) if match is None else scope.find(match["name"])
    items = found.node.items if isinstance(found, Found) else []
    if not isinstance(found, Found) or not 0 < len(items) <= _MOST_ITEMS:
        return [scope]
    name = task.text_at("loop_control", "loop_var") or "item"
    return [scope.having({name: Found(item, found.file)}) for item in items]


def _container(key: Node, options: Node, address: str, scope: Scope) -> Subject | None:
    file = scope.file
    image = options.get("image")
    if image is None or not image.is_scalar:
        return None
    setting = _scalar(IMAGE, image, scope)
    reference = setting.value if isinstance(setting.value, str) else image.text
    entrypoint, command = command_text(options.get("entrypoint")), command_text(options.get("command"))
    what = role(reference, entrypoint, command)
    if what is Role.OTHER:
        return None
    subject = Subject(Kind.SERVER, address, file, key.span, Style.YAML)
    if images.is_ollama(reference):
        subject.add(setting)
    if what is Role.UNSURE:
        subject.unknown = Unknown(f"{(entrypoint or command or '').strip()} decides what runs")
    if options.text_at("env_file"):
        subject.unknown = Unknown(f"the env file {options.text_at('env_file')} is on the machine")
    _add_environment(subject, options.get("env"), scope)
    memory = options.get("memory") or options.at("limits", "memory")
    if memory is not None and memory.is_scalar and not memory.is_null:
        limit = sized(_scalar(MEMORY_LIMIT, memory, scope))
        if limit.value != 0:
            subject.add(limit)
    _add_gpus(subject, options.get("device_requests"), scope)
    if options.holds_actions:
        subject.unknown, subject.insertion = Unknown("a template decides what is there"), None
    return subject


def _scalar(key: str, node: Node, scope: Scope) -> Setting:
    return scope.setting(key, of_node(key, node), scope.file)


def _add_environment(subject: Subject, box: Node | None, scope: Scope) -> None:
    """Adds a container's variables, which may be a variable that holds a map of them."""
    if box is None or box.is_null:
        return
    if not box.is_scalar:
        _add_variables(subject, list(assignments(box)), scope.file, scope)
        subject.insertion = insertion(box, scope.file)
        return
    match = EXPRESSION.fullmatch(box.text.strip())
    found = scope.find(match["name"]) if match is not None else None
    if match is None or not isinstance(found, Found) or found.node.is_scalar:
        otherwise = Unknown(f"{excerpt(box.text)} is filled in by a template")
        subject.unknown = found if isinstance(found, Unknown) else otherwise
        return
    _add_variables(subject, list(assignments(found.node)), found.file, scope)
    for setting in subject.settings.values():
        if setting.file is found.file and setting.key not in (IMAGE, MEMORY_LIMIT):
            setting.origin = setting.origin or f"{match['name']} in {found.file.path}"


def _add_gpus(subject: Subject, requests: Node | None, scope: Scope) -> None:
    for device in requests.items if requests is not None else ():
        ids, count = device.get("device_ids"), device.get("count")
        if ids is not None and ids.items:
            subject.add(Setting(GPU_COUNT, len(ids.items), ids.span, scope.file, is_literal=False))
        elif count is not None and count.is_scalar and count.text.isdecimal() and len(count.text) < 4:
            subject.add(Setting(GPU_COUNT, int(count.text), count.span, scope.file))
        else:
            place = count or device
            unknown = Unknown("all GPUs of the machine")
            subject.add(Setting(GPU_COUNT, unknown, place.span, scope.file, is_literal=False))
        return


def _manifests(root: Node, scope: Scope) -> Iterator[Subject]:
    for item in objects(root):
        yield from object_subjects(item, scope.file, scope.tree)


def _embedded(module: str, options: Node, address: str, scope: Scope) -> Iterator[Subject]:
    """The servers in what a task hands to another tool."""
    if module in ("docker_compose", "docker_compose_v2"):
        definition = options.get("definition")
        if definition is not None:
            yield from services_subjects(definition, scope.file, scope.tree)
    elif module == "k8s":
        definition = options.get("definition") or options.get("resource_definition")
        if definition is not None:
            block = definition.block
            roots = template_documents(*block) if block is not None else definition.items or [definition]
            for root in roots:
                yield from _manifests(root, scope)
    elif module == "helm":
        from ollama_policy.sources.kubernetes.helm_releases import release_values  # noqa: PLC0415 - few tasks install charts

        values = options.get("values") or options.get("release_values")
        if values is not None:
            yield from release_values(values, scope.file, address, options.text_at("chart_ref"))
