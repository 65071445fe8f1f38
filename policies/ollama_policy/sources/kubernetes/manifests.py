"""Kubernetes manifests: the containers of any workload that run Ollama, with what ConfigMaps of the tree give them.

Helm's templates are read as what is left without their actions; releases of Helm that are written as an object are
handed to helm.py. Nothing is rendered, and no cluster is asked.
"""

import posixpath
import re
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model import images
from ollama_policy.model.settings import (
    IMAGE,
    MEMORY_LIMIT,
    Kind,
    Setting,
    SourceFile,
    Style,
    Subject,
    Unknown,
)
from ollama_policy.sources.common.budget import SETTINGS, Budget
from ollama_policy.sources.common.containers import Role, command_text, role
from ollama_policy.sources.common.env_files import Dialect, read_assignments
from ollama_policy.sources.common.environment import PREFIXES, is_variable
from ollama_policy.sources.common.kept import Kept, OfTree
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.words import Words
from ollama_policy.sources.common.yaml_environment import Assignment, assignments, insertion
from ollama_policy.sources.kubernetes.settings import add_limits, scalar_setting, setting_of
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import file_documents, template_documents

_SIGN: Final = re.compile(rb"^[ \t{-]*[\"']?(?:apiVersion|helmCharts)[\"']?[ \t]*:", re.MULTILINE)
_JSON_SIGN: Final = re.compile(rb'"apiVersion"\s*:')
_SUFFIXES: Final = (".yaml", ".yml")
_POD_SPECS: Final = (
    ("spec", "template", "spec"),
    ("spec", "jobTemplate", "spec", "template", "spec"),
    ("template", "spec"),
)
_SHORT_LIVED: Final = frozenset(("Job", "CronJob"))
_MAX_DEPTH: Final = 8  # of lists in lists


class Kubernetes:
    """Manifests, in YAML or JSON."""

    name = "kubernetes"

    def accepts(self, file: SourceFile) -> bool:
        sign = _JSON_SIGN if file.path.endswith(".json") else _SIGN
        return sign.search(file.data) is not None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        for root in file_documents(file):
            for item in objects(root):
                yield from object_subjects(item, file, tree)


def objects(root: Node, depth: int = 0) -> Iterator[Node]:
    """The objects of a document: itself, or those of a list or a template of several."""
    nested = root.get("items") if root.text_at("kind").endswith("List") else None
    nested = root.get("objects") if root.text_at("kind") == "Template" else nested
    if nested is None or not nested.is_sequence:
        yield root
    elif depth < _MAX_DEPTH:
        for item in nested.items:
            yield from objects(item, depth + 1)


def object_subjects(item: Node, file: SourceFile, tree: Tree) -> Iterator[Subject]:
    """The servers of one object, a workload or a Helm release."""
    for container, is_short_lived in containers(item):
        subject = _Container(item, container, file, _OBJECTS.of(tree), is_short_lived).subject()
        if subject is not None:
            yield subject
    if item.get("helmCharts") is not None or item.text_at("kind") in _RELEASES:
        from ollama_policy.sources.kubernetes.helm_releases import release_subjects  # noqa: PLC0415 - few trees have releases

        yield from release_subjects(item, file)


_RELEASES: Final = frozenset(("HelmRelease", "HelmChart", "HelmChartConfig", "Application", "ApplicationSet"))


def containers(item: Node) -> Iterator[tuple[Node, bool]]:
    """The containers of a workload, each with whether it ends before what the workload is for."""
    kind = item.text_at("kind")
    specs = [item.get("spec")] if kind == "Pod" else [item.at(*path) for path in _POD_SPECS]
    for spec in specs:
        for key in ("initContainers", "containers"):
            box = spec.get(key) if spec is not None else None
            for container in box.items if box is not None else ():
                is_sidecar = container.text_at("restartPolicy") == "Always"
                yield container, kind in _SHORT_LIVED or (key == "initContainers" and not is_sidecar)


@dataclass(frozen=True, slots=True)
class _Container:
    workload: Node
    node: Node
    file: SourceFile
    tree: "Objects"
    is_short_lived: bool

    @property
    def _address(self) -> str:
        names = [self.workload.text_at("kind"), self.workload.text_at("metadata", "name"), self.node.text_at("name")]
        kind, workload, container = ("" if "{{" in name else name for name in names)
        address = "/".join(filter(None, (kind or "workload", workload)))
        return f"{address} container {container}".rstrip()

    def subject(self) -> Subject | None:
        """The server that it is, if it is one."""
        if not self.node.is_mapping:
            return None
        image = self.node.get("image")
        if image is None or image.is_null:
            return self._patch()
        if not image.is_scalar:
            return None
        return self._server(image)

    def _server(self, image: Node) -> Subject | None:
        command, args = command_text(self.node.get("command")), command_text(self.node.get("args"))
        what = role(image.text, command, args, is_short_lived=self.is_short_lived)
        if what is Role.OTHER:
            return None
        subject = self._settings()
        if images.is_ollama(image.text):
            subject.add(scalar_setting(IMAGE, image, self.file))
        if what is Role.UNSURE:
            subject.unknown = Unknown(f"{(command or args or '').strip()} decides what runs")
        return subject

    def _settings(self) -> Subject:
        name = self.node.get("name") or self.node.get("image") or self.node
        subject = Subject(Kind.SERVER, self._address, self.file, name.span, Style.YAML)
        self._take_env_from(subject)
        self._take_env(subject)
        add_limits(subject, self.node.get("resources"), self.file)
        if self.node.holds_actions:
            subject.unknown = subject.unknown or Unknown("a template decides what is there")
            for setting in subject.repeated:
                subject.settings[setting.key].value = Unknown("a template decides which of several counts")
            subject.repeated.clear()
        else:
            subject.insertion = insertion(self.node.get("env"), self.file)
        return subject

    def _take_env_from(self, subject: Subject) -> None:
        box = self.node.get("envFrom")
        for item in box.items if box is not None else ():
            prefix = item.text_at("prefix")
            config_map, secret = item.text_at("configMapRef", "name"), item.text_at("secretRef", "name")
            if secret:
                subject.unknown = Unknown(f"the Secret {secret} may set more")
            if not config_map:
                continue
            found = self.tree.config_map(config_map, self.workload, self.file)
            if isinstance(found, Unknown):
                subject.unknown = found
                continue
            names = found.variables(prefix)
            SETTINGS.of(self.tree.tree).spend(len(names), subject.span.start)
            for name in names:
                setting = found.value(name, prefix + name)
                assert setting is not None  # it is one of its names
                subject.settings[setting.key] = setting

    def _take_env(self, subject: Subject) -> None:
        box = self.node.get("env")
        seen: set[str] = set()
        for assigned in assignments(box) if box is not None else ():
            name = assigned.name
            if not is_variable(name):
                continue
            if name not in seen:
                subject.settings.pop(name, None)  # of envFrom: no repetition
            seen.add(name)
            subject.add(self._variable(assigned))

    def _variable(self, assigned: Assignment) -> Setting:
        name, source = assigned.name, assigned.item.get("valueFrom") if assigned.item is not None else None
        if source is None:
            if assigned.value is None and (assigned.node is None or assigned.node.is_null):
                return Setting(name, "", assigned.span, self.file, is_literal=False)  # as good as not set
            return setting_of(name, assigned, self.file)
        key, config_map = source.text_at("configMapKeyRef", "key"), source.text_at("configMapKeyRef", "name")
        if not config_map:
            kind = next((kind.text for kind, _ in source.members), "elsewhere")
            return Setting(name, Unknown(f"its value is from a {kind}"), source.span, self.file, is_literal=False)
        found = self.tree.config_map(config_map, self.workload, self.file)
        setting = None if isinstance(found, Unknown) else found.value(key, name)
        if setting is not None:
            return setting
        reason = found if isinstance(found, Unknown) else Unknown(f"the ConfigMap {config_map} has no {key}")
        return Setting(name, reason, source.span, self.file, is_literal=False)

    def _patch(self) -> Subject | None:
        """A container without an image, over the one that it changes: one of the same names in the tree."""
        own = self._settings()
        names = [self.workload.text_at(*path) for path in (("kind",), ("metadata", "name"))]
        container = self.node.text_at("name")
        if not any(is_variable(key) or key == MEMORY_LIMIT for key in own.settings) or not all((*names, container)):
            return None
        for file in self.tree.files_with((*names, container)):
            if file.path == self.file.path:
                continue
            for item in self.tree.named(names[0], names[1], file):
                for node, is_short_lived in containers(item):
                    image = node.get("image")
                    if node.text_at("name") != container or image is None or not image.is_scalar:
                        continue
                    below = _Container(item, node, file, self.tree, is_short_lived)._server(image)
                    return None if below is None else _laid_over(own, below)
        return None


def _laid_over(own: Subject, below: Subject) -> Subject:
    for key, setting in below.settings.items():
        if key not in own.settings:
            setting.is_literal = False
            setting.origin = setting.origin or below.file.path
            own.settings[key] = setting
    own.unknown = own.unknown or below.unknown
    return own


class _ConfigMap:
    """What a ConfigMap holds, for the many containers that may be given it: each has settings of its own."""

    def __init__(self, settings: dict[str, Setting]) -> None:
        self._settings = settings
        self._names: dict[str, list[str]] = {}

    def variables(self, prefix: str) -> Collection[str]:
        """Its names that Ollama may read as variables, with a prefix before each."""
        if is_variable(prefix):
            return self._settings
        if not any(begin.startswith(prefix) for begin in PREFIXES):
            return ()
        if prefix not in self._names:
            self._names[prefix] = [name for name in self._settings if is_variable(prefix + name)]
        return self._names[prefix]

    def value(self, key: str, name: str) -> Setting | None:
        """What it has for a key, as the variable of a name."""
        one = self._settings.get(key)
        return None if one is None else Setting(name, one.value, one.span, one.file, one.origin, one.is_literal)


class _Named:
    """The objects of a file by kind and name, and what makes a ConfigMap by its name.

    One that cannot be read is reported where it is read itself.
    """

    def __init__(self, file: SourceFile) -> None:
        self.objects: dict[tuple[str, str], list[Node]] = {}
        self.config_maps: dict[str, list[Node]] = {}
        self.made: dict[int, _ConfigMap] = {}  # by the id of the node, which lives as long
        try:
            for item in (item for root in template_documents(file.data) for item in objects(root)):
                kind, name = item.text_at("kind"), item.text_at("metadata", "name")
                self.objects.setdefault((kind, name), []).append(item)
                if kind == "ConfigMap":
                    self.config_maps.setdefault(name, []).append(item)
                generators = item.get("configMapGenerator")
                for generator in generators.items if generators is not None else ():
                    self.config_maps.setdefault(generator.text_at("name"), []).append(generator)
        except UnreadableError:
            self.objects, self.config_maps = {}, {}


class Objects:
    """The objects of a tree, each file of it parsed once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = weakref.ref(tree)  # which has this for as long as it lives
        self._named = Kept(_Named)
        self._words: dict[str, Words] = {}
        self._env_files = Kept(lambda file: list(read_assignments(file.data, file, 0, Dialect.DOCKER)))
        self._budget = Budget(0, "many ConfigMaps are made of one file of many variables")

    @property
    def tree(self) -> Tree:
        tree = self._tree()
        assert tree is not None  # who asks has it
        return tree

    def files_with(self, names: Sequence[str]) -> Sequence[SourceFile]:
        """The files of the tree that may hold all these names."""
        return self._words_of("*", lambda: self.tree.files(_SUFFIXES)).files_with(names)

    def named(self, kind: str, name: str, file: SourceFile) -> list[Node]:
        """The objects of a file that are of that kind and name."""
        return self._named.of(file).objects.get((kind, name), [])

    def _words_of(self, key: str, files: Callable[[], Iterable[SourceFile]]) -> Words:
        if key not in self._words:
            self._words[key] = Words(files())
        return self._words[key]

    def config_map(self, name: str, workload: Node, file: SourceFile) -> _ConfigMap | Unknown:
        """What a ConfigMap of the tree holds, the nearest of its name: in the same file, the same folder, anywhere."""
        if "{{" in name:
            return Unknown(f"the ConfigMap {name} is filled in by a template")
        namespace = workload.text_at("metadata", "namespace")
        for files in self._nearest(file, name):
            every = (node for each in files for node in self._config_maps(name, namespace, each))
            found = list(islice(every, 2))
            if len(found) > 1:
                return Unknown(f"there are several ConfigMaps {name}")
            if found:
                return self._made(*found[0], workload)
        return Unknown(f"the ConfigMap {name} is not in the tree")

    def _nearest(self, file: SourceFile, name: str) -> Iterator[Sequence[SourceFile]]:
        """The files that may make a ConfigMap: the file itself, those of its folder, those of the tree."""
        yield [file]
        near, every = self.tree.folder, self.tree.files
        folder = f"/{posixpath.dirname(file.path)}"
        yield self._words_of(folder, lambda: self._makers(near(file, _SUFFIXES))).files_with([name])
        yield self._words_of("", lambda: self._makers(every(_SUFFIXES))).files_with([name])

    @staticmethod
    def _makers(files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        return (file for file in files if b"ConfigMap" in file.data or b"configMapGenerator" in file.data)

    def _config_maps(self, name: str, namespace: str, file: SourceFile) -> Iterator[tuple[Node, SourceFile]]:
        for item in self._named.of(file).config_maps.get(name, ()):
            other = item.text_at("metadata", "namespace") if item.text_at("kind") else ""
            if not other or not namespace or other == namespace:
                yield item, file

    def _made(self, item: Node, file: SourceFile, workload: Node) -> _ConfigMap:
        """What a ConfigMap or its generator comes to, worked out once. `workload` is what it is asked for."""
        made = self._named.of(file).made
        if item.id not in made:
            if item.text_at("kind"):
                box, origin = item.get("data"), f"the ConfigMap {item.text_at('metadata', 'name')}"
                members = box.members if box is not None else ()
                settings = {
                    key.text: scalar_setting(key.text, node, file, origin) for key, node in members if node.is_scalar
                }
            else:
                settings = self._generated(item, file, workload)
            made[item.id] = _ConfigMap(settings)
        return made[item.id]

    def _generated(self, generator: Node, file: SourceFile, workload: Node) -> dict[str, Setting]:
        """What kustomize puts into a ConfigMap from literals and env files."""
        origin = f"the ConfigMap {generator.text_at('name')}"
        found: dict[str, Setting] = {}
        box, literals = generator.get("envs"), generator.get("literals")
        paths = [item.text for item in box.items] if box is not None else []
        for path in filter(None, (*paths, generator.text_at("env"))):
            env_file = self.tree.sibling(file, path)
            if env_file is not None:
                every = self._env_files.of(env_file)
                self._budget.spend(len(every), workload.start)
                for one in every:
                    found[one.key] = Setting(one.key, one.value, one.span, one.file, origin, one.is_literal)
        for assigned in assignments(literals) if literals is not None else ():
            found[assigned.name] = setting_of(assigned.name, assigned, file, origin)
        return found


_OBJECTS: Final = OfTree(Objects)
