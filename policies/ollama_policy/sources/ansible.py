"""Ansible: tasks that start an Ollama container, or write a unit, a compose file or a manifest of one.

Jinja is not evaluated: `{{ name }}` counts as what the role's defaults, or the play's or task's own variables, say
literally, where no inventory of the tree says otherwise; anything else is undecided.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ollama_policy.settings import (
    GPU_COUNT,
    IMAGE,
    MEMORY_LIMIT,
    Kind,
    Setting,
    SourceFile,
    Style,
    Subject,
    Unknown,
    UnreadableError,
)
from ollama_policy.sources import images
from ollama_policy.sources.compose import Compose, services_subjects
from ollama_policy.sources.containers import Role, command_text, is_variable, role
from ollama_policy.sources.environment import SERVER_ONLY
from ollama_policy.sources.kubernetes import Kubernetes, object_subjects, objects
from ollama_policy.sources.sizes import bytes_of
from ollama_policy.sources.source import Tree
from ollama_policy.sources.yaml_environment import Assignment, assignments, excerpt, insertion, of_node, written
from ollama_policy.sources.yaml_nodes import Node
from ollama_policy.sources.yaml_templates import file_documents, template_documents

_CONTAINERS: Final = frozenset(("docker_container", "podman_container", "docker_swarm_service"))
_WRITERS: Final = {"copy": ("content", "dest"), "blockinfile": ("block", "path")}
_MODULES: Final = (
    rb"docker_container|podman_container|docker_swarm_service|docker_compose(?:_v2)?|k8s|helm|copy|blockinfile"
)
_SIGN: Final = re.compile(rb"^[ \t-]*[\"']?(?:[a-z_]+\.){0,2}(?:" + _MODULES + rb")[\"']?[ \t]*:", re.MULTILINE)
_IS_PLAY: Final = re.compile(rb"^[ \t]*-[ \t]+(?:name|hosts|block|[a-z_.]+)[ \t]*:", re.MULTILINE)
_VARIABLES: Final = re.compile(r"(?:^|/)(?:defaults|vars|group_vars|host_vars)/")
_INVENTORY: Final = re.compile(r"(?:^|/)(?:group_vars|host_vars|inventor(?:y|ies))(?:/|\.)")
_IS_ENVIRONMENT: Final = re.compile(r"\w*env\w*", re.ASCII)
_TEMPLATE: Final = re.compile(r".*\.ya?ml\.(?:j2|jinja2?)")
_TASKS: Final = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
_SUFFIXES: Final = (".yml", ".yaml")
_MAX_DEPTH: Final = 8
_EXPRESSION: Final = re.compile(
    r"\{\{-?\s*(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,4})"
    r"(?:\s*\|\s*default\(\s*(?:'(?P<single>[^'{}]*)'|\"(?P<double>[^\"{}]*)\"|(?P<bare>[\w.-]+))\s*(?:,\s*true\s*)?\))?"
    r"(?:\s*\|\s*(?:string|trim|quote))*\s*-?\}\}"
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a variable is, and the file that says so."""

    node: Node
    file: SourceFile


@dataclass(slots=True)
class _Scope:
    """The variables that a task sees, as far as its own files say."""

    file: SourceFile
    tree: Tree
    own: Mapping[str, Node] = field(default_factory=dict)
    _of_role: dict[str, _Found] | None = None

    def within(self, variables: Node | None) -> "_Scope":
        """The scope with a play's or a task's `vars` over it."""
        if variables is None or not variables.is_mapping:
            return self
        own = {**self.own, **{key.text: value for key, value in variables.members}}
        return _Scope(self.file, self.tree, own, self._roles())

    def _roles(self) -> dict[str, _Found]:
        if self._of_role is None:
            self._of_role = {}
            for folder in ("defaults", "vars"):  # the latter wins
                for name in ("main.yml", "main.yaml"):
                    found = self.tree.sibling(self.file, f"../{folder}/{name}")
                    for key, node in _top_level(found) if found is not None else ():
                        self._of_role[key] = _Found(node, found or self.file)
        return self._of_role

    def find(self, path: str) -> _Found | Unknown:
        """What a name, or a dotted path into it, stands for."""
        name, *rest = path.split(".")
        if name in self.own:
            found = _Found(self.own[name], self.file)
        elif name in self._roles():
            found = self._roles()[name]
            for file in self.tree.files(_SUFFIXES):
                if _INVENTORY.search(file.path) and name.encode() in file.data:
                    return Unknown(f"{name} is set in {file.path} too")
        else:
            return Unknown(f"{name} is set elsewhere")
        node = found.node.at(*rest)
        return Unknown(f"{path} is set elsewhere") if node is None else _Found(node, found.file)

    def setting(self, key: str, assigned: Assignment, file: SourceFile, origin: str = "", depth: int = 0) -> Setting:
        """The setting for an assignment, its expressions resolved as far as they can be."""
        span = assigned.span
        text = "" if assigned.value is None else assigned.value.text
        if assigned.value is None and (assigned.node is None or assigned.node.is_null):
            return Setting(key, "", span, file, origin, is_literal=False)
        if assigned.value is None or (assigned.node is not None and assigned.node.has_own_tag):
            return Setting(key, Unknown(f"{key} is no plain text"), span, file, origin, is_literal=False)
        if assigned.node is not None and assigned.node.is_plain and text.lower() in ("yes", "no", "on", "off"):
            return Setting(key, Unknown(f"{written(assigned, file)} is no text"), span, file, origin, is_literal=False)
        if "{{" not in text and "{%" not in text:
            return Setting(key, text, span, file, origin, assigned.is_literal)
        return self.resolved(Setting(key, Unknown(""), span, file, origin, is_literal=False), text, depth)

    def resolved(self, setting: Setting, text: str, depth: int = 0) -> Setting:
        """The setting whose value a text with expressions is."""
        whole = _EXPRESSION.fullmatch(text.strip())
        if whole is not None and depth < _MAX_DEPTH:
            found = self.find(whole["name"])
            if isinstance(found, Unknown):
                default = _default(whole)
                value = found if default is None else default
                origin = setting.origin if default is None else f"the default of {whole['name']}"
                return Setting(setting.key, value, setting.span, setting.file, origin, is_literal=False)
            if found.node.is_scalar:
                node = found.node
                assigned = replace(of_node(setting.key, node), is_literal=False)
                origin = f"{whole['name']} in {found.file.path}"
                return self.setting(setting.key, assigned, found.file, origin, depth + 1)
        parts, at = [], 0
        for match in _EXPRESSION.finditer(text) if whole is None and depth < _MAX_DEPTH else ():
            part = self.resolved(setting, match[0], depth + 1)
            if isinstance(part.value, Unknown):
                return Setting(setting.key, part.value, setting.span, setting.file, setting.origin, is_literal=False)
            parts += [text[at : match.start()], str(part.value)]
            at = match.end()
        value = "".join([*parts, text[at:]])
        unknown = Unknown(f"{excerpt(text)} is filled in by a template") if "{{" in value or "{%" in value else None
        return Setting(setting.key, unknown or value, setting.span, setting.file, setting.origin, is_literal=False)


def _default(match: re.Match[str]) -> str | None:
    return next((match[group] for group in ("single", "double", "bare") if match[group] is not None), None)


def _top_level(file: SourceFile) -> list[tuple[str, Node]]:
    """The variables of a file; one that cannot be read is reported where it is read itself."""
    try:
        return [(key.text, node) for root in template_documents(file.data) for key, node in root.members]
    except UnreadableError:
        return []


class Ansible:
    """Playbooks, tasks, handlers, variables, and templates of YAML files."""

    name = "ansible"

    def accepts(self, file: SourceFile) -> bool:
        if _TEMPLATE.fullmatch(file.path.lower()):
            return Compose().accepts(file) or Kubernetes().accepts(file)
        if not file.path.endswith(_SUFFIXES):
            return False
        if _VARIABLES.search(file.path) and b"OLLAMA_" in file.data:
            return True
        return _SIGN.search(file.data) is not None and _IS_PLAY.search(file.data) is not None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        scope = _Scope(file, tree)
        if _TEMPLATE.fullmatch(file.path.lower()):
            source = Compose() if Compose().accepts(file) else Kubernetes()
            for subject in source.read(file, tree):
                yield _filled(subject, scope)
            return
        for root in file_documents(file):
            if root.is_mapping and _VARIABLES.search(file.path):
                yield from _environments(root, scope)
            else:
                yield from _tasks(root, scope)


def _filled(subject: Subject, scope: _Scope) -> Subject:
    """The subject with what the role says of the expressions in its values."""
    for key, setting in subject.settings.items():
        if isinstance(setting.value, Unknown) and "{{" in setting.written:
            new = scope.resolved(setting, setting.written.strip("'\""))
            if key == MEMORY_LIMIT and isinstance(new.value, str):
                size = bytes_of(new.value)
                new.value = Unknown(f"{new.value} is no size") if size is None else size
            if new.is_known and key != GPU_COUNT:
                subject.settings[key] = new
    return subject


def _environments(root: Node, scope: _Scope) -> Iterator[Subject]:
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


def _add_variables(subject: Subject, found: list[Assignment], file: SourceFile, scope: _Scope) -> None:
    for assigned in found:
        if is_variable(assigned.name):
            subject.add(scope.setting(assigned.name, assigned, file))


def _tasks(root: Node, scope: _Scope) -> Iterator[Subject]:
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


def _task(task: Node, scope: _Scope) -> Iterator[Subject]:
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
        elif module in _WRITERS:
            content, path = _WRITERS[module]
            where = options.text_at(path) or options.text_at("dest")
            yield from _written(options.get(content), where, address, scope)
        else:
            for subject in _embedded(module, options, address, scope):
                yield _filled(subject, scope)


def _container(key: Node, options: Node, address: str, scope: _Scope) -> Subject | None:
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
        limit = _scalar(MEMORY_LIMIT, memory, scope)
        if isinstance(limit.value, str):
            size = bytes_of(limit.value)
            limit.value = Unknown(f"{limit.value} is no size") if size is None else size
        if limit.value != 0:
            subject.add(limit)
    _add_gpus(subject, options.get("device_requests"), scope)
    if options.holds_actions:
        subject.unknown, subject.insertion = Unknown("a template decides what is there"), None
    return subject


def _scalar(key: str, node: Node, scope: _Scope) -> Setting:
    return scope.setting(key, of_node(key, node), scope.file)


def _add_environment(subject: Subject, box: Node | None, scope: _Scope) -> None:
    """Adds a container's variables, which may be a variable that holds a map of them."""
    if box is None or box.is_null:
        return
    if not box.is_scalar:
        _add_variables(subject, list(assignments(box)), scope.file, scope)
        subject.insertion = insertion(box, scope.file)
        return
    match = _EXPRESSION.fullmatch(box.text.strip())
    found = (
        scope.find(match["name"]) if match is not None else Unknown(f"{excerpt(box.text)} is filled in by a template")
    )
    if isinstance(found, Unknown):
        subject.unknown = found
    elif not found.node.is_scalar:
        names = list(assignments(found.node))
        _add_variables(subject, names, found.file, scope)
        for setting in subject.settings.values():
            if setting.file is found.file and setting.key not in (IMAGE, MEMORY_LIMIT) and match is not None:
                setting.origin = setting.origin or f"{match['name']} in {found.file.path}"


def _add_gpus(subject: Subject, requests: Node | None, scope: _Scope) -> None:
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


def _written(content: Node | None, path: str, address: str, scope: _Scope) -> Iterator[Subject]:
    """The servers in a text that a task writes to a file."""
    block = content.block if content is not None else None
    if block is None:
        return
    data, offset = block
    if b"[Service]" in data or b"[Container]" in data:
        from ollama_policy.sources.systemd import read_unit  # noqa: PLC0415 - few tasks write units

        subjects = read_unit(data, scope.file, offset, address, path=path)
    elif path.endswith(_SUFFIXES):
        roots = template_documents(data, offset)
        subjects = (
            subject
            for root in roots
            for subject in (*services_subjects(root, scope.file, scope.tree), *_manifests(root, scope))
        )
    else:
        return
    for subject in subjects:
        yield _filled(subject, scope)


def _manifests(root: Node, scope: _Scope) -> Iterator[Subject]:
    for item in objects(root):
        yield from object_subjects(item, scope.file, scope.tree)


def _embedded(module: str, options: Node, address: str, scope: _Scope) -> Iterator[Subject]:
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
        from ollama_policy.sources.helm import release_values  # noqa: PLC0415 - few tasks install charts

        values = options.get("values") or options.get("release_values")
        if values is not None:
            yield from release_values(values, scope.file, address, options.text_at("chart_ref"))
