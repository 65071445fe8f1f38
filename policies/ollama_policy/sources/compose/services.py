"""Compose files: the services that run Ollama, with what `env_file`, `extends`, overrides and Dockerfiles add.

The compose specification and compose-go decide: `environment` over `env_file`, later files over earlier ones, what a
service says itself over what it extends, and values of `.env` over the defaults in `${X:-default}`.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from ollama_policy.errors import UnreadableError
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
from ollama_policy.sources.common.budget import SETTINGS
from ollama_policy.sources.common.containers import Role, role
from ollama_policy.sources.common.env_files import Dialect, shared_variables
from ollama_policy.sources.common.environment import is_variable
from ollama_policy.sources.common.kept import Kept, OfTree
from ollama_policy.sources.common.sizes import sized
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.yaml_environment import Assignment, assignments, excerpt, insertion, of_node, written
from ollama_policy.sources.compose.go_text import go_text
from ollama_policy.sources.compose.include import CANONICAL, Includes, Missing, has_include
from ollama_policy.sources.compose.interpolation import interpolated
from ollama_policy.sources.compose.layers import Layer, Stack
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import file_documents

_SIGN: Final = re.compile(rb"^(?:\xef\xbb\xbf)?[\"']?services[\"']?[ \t]*:", re.MULTILINE)
_OTHERS: Final = re.compile(rb"^(?:apiVersion|jobs|stages)[ \t]*:", re.MULTILINE)
_SUFFIXES: Final = (".yaml", ".yml")
_MAX_EXTENDED: Final = 16
_AN_EXTENDED_ONE: Final = 6  # settings: what a variable takes that is read again for each service that extends it


class Compose:
    """The services of compose and swarm stack files."""

    name = "compose"

    def __init__(self) -> None:
        self._includes: Includes | None = None

    def _includes_in(self, tree: Tree) -> Includes:
        """What is known of the includes of a tree, whose files are read one after the other."""
        if self._includes is None or self._includes.tree is not tree:
            self._includes = Includes(tree)
        return self._includes

    def accepts(self, file: SourceFile) -> bool:
        name = file.path.rpartition("/")[2].lower()
        if name.startswith("values"):
            return False
        if _SIGN.search(file.data) is None:
            return name in CANONICAL and has_include(file)
        return "compose" in name or _OTHERS.search(file.data) is None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        for root in file_documents(file):
            yield from services_subjects(root, file, tree, self._includes_in(tree))
            if root.get("include") is not None:
                yield from _not_seen(root, file, self._includes_in(tree))


def _not_seen(root: Node, file: SourceFile, includes: Includes) -> Iterator[Subject]:
    """What a file includes and the tree does not hold: there may be servers in it."""
    for entry in includes.entries(root, file):
        if isinstance(entry, Missing):
            address, span = f"include {excerpt(entry.node.text)}", entry.node.span
            yield Subject(Kind.SERVER, address, file, span, Style.YAML, unknown=entry.unknown)


def services_subjects(root: Node, file: SourceFile, tree: Tree, includes: Includes | None = None) -> Iterator[Subject]:
    """The servers of a compose model, which may stand inside another file."""
    reader = _Reader(file, tree, includes or Includes(tree))
    services = root.get("services")
    for key, service in services.members if services is not None else ():
        subject = reader.server(root, key, service) if service.is_mapping else None
        if subject is not None:
            yield subject


class _Reader:
    def __init__(self, file: SourceFile, tree: Tree, includes: Includes) -> None:
        self.file = file
        self.tree = tree
        self.includes = includes
        self.lookup = self.includes.environment_of(file)

    def _at(self, layer: Layer, path: str) -> SourceFile | None:
        """The file at a path that a layer names."""
        use = self.includes.use_of(self.file) if layer.file is self.file else None
        return self.tree.sibling(layer.file, path if use is None else posixpath.join(use.folder, path))

    def server(self, root: Node, key: Node, service: Node) -> Subject | None:
        """The server that a service is, if it is one."""
        name = key.text
        stack = Stack()
        self._add(stack, Layer(service, self.file), root, name, set())
        if all(stack.last(path) is None for path in ("image", "build")):
            if not self._lay_over(stack, service, name):
                return None
        else:
            self._add_override(stack, name)
        subject = Subject(Kind.SERVER, f"service {name}", self.file, key.span, Style.YAML, unknown=stack.unknown)
        if not self._takes_image(subject, stack):
            return None
        self._take_environment(subject, stack)
        self._take_memory(subject, stack)
        self._take_gpus(subject, stack)
        if service.holds_actions:
            subject.unknown = subject.unknown or Unknown("a template decides what is there")
        else:
            subject.insertion = insertion(service.get("environment"), self.file)
        return subject

    # Layers.

    def _add(self, stack: Stack, layer: Layer, root: Node, name: str, seen: set[tuple[str, str]]) -> None:
        """Puts a layer on a stack, what it extends below it."""
        seen.add((layer.file.path, name))
        extends = layer.service.get("extends")
        if extends is not None and not extends.is_null:
            other = extends.text if extends.is_scalar else extends.text_at("service")
            path = "" if extends.is_scalar else extends.text_at("file")
            base = self._base(layer, root, other, path)
            if base is None:
                where = f" in {path}, which is not in the tree" if path else ""
                stack.unknown = Unknown(f"it extends {other}{where}")
            elif (base[1].path, other) not in seen and len(seen) < _MAX_EXTENDED:
                origin = f"extends {other}" + (f" in {path}" if path else "")
                lookup = layer.lookup if path or base[1] is layer.file else self.includes.environment_of(base[1])
                self._add(stack, Layer(base[2], base[1], origin, True, lookup), base[0], other, seen)
        stack.layers.append(layer)

    def _base(self, layer: Layer, root: Node, name: str, path: str) -> tuple[Node, SourceFile, Node] | None:
        if not path:
            service = root.at("services", name)
            if service is not None and service.is_mapping:
                return root, layer.file, service
            included = self.includes.files_of(layer.file) if root.get("include") is not None else []
            return next((found for other in included if (found := self._service_in(other, name)) is not None), None)
        other = self._at(layer, path)
        return None if other is None else self._service_in(other, name)

    def _service_in(self, file: SourceFile, name: str) -> tuple[Node, SourceFile, Node] | None:
        """A service of another file; one that cannot be read is reported where it is read itself."""
        try:
            for root in self.includes.documents.of(file):
                service = root.at("services", name)
                if service is not None and service.is_mapping:
                    return root, file, service
        except UnreadableError:
            pass
        return None

    def _lay_over(self, stack: Stack, service: Node, name: str) -> bool:
        """Puts under a service without an image what a file beside it says of it; False where it is none of ours.

        What compose lays over by itself is reported with what is below, where that is checked too.
        """
        environment = service.get("environment")
        names = [a.name for a in assignments(environment)] if environment is not None else []
        has_limit = service.at("mem_limit") or service.at("deploy", "resources", "limits", "memory")
        if not any(map(is_variable, names)) and has_limit is None and service.get("env_file") is None:
            return False
        own = stack.layers[:]
        for file, is_automatic in self._below(name):
            found = self._service_in(file, name)
            if found is None or all(found[2].get(key) is None for key in ("image", "build")):
                continue
            if is_automatic and any(other.path == file.path for other in self.tree.files(_SUFFIXES)):
                return False
            stack.layers = []
            origin = file.path.rpartition("/")[2]
            self._add(stack, Layer(found[2], file, origin, is_shared=True), found[0], name, set())
            stack.layers += own
            return True
        return False

    def _below(self, name: str) -> Iterator[tuple[SourceFile, bool]]:
        """The files that may have a service below this one's, and whether compose lays this one over it by itself."""
        use = self.includes.use_of(self.file)
        for file in use.below if use is not None else ():
            yield file, True
        for file in self._beside(name):
            yield file, self.file.path in _override_paths(file.path)
        for file in self.tree.folder(self.file, _SUFFIXES):
            is_automatic = self.file.path in _override_paths(file.path)
            for included in self.includes.files_of(file) if file.path != self.file.path else ():
                if included.path != self.file.path and name.encode() in included.data:
                    yield included, is_automatic

    def _beside(self, name: str) -> list[SourceFile]:
        """The compose files in the folder that may have a service, those first that compose takes by itself."""
        files = [
            file
            for file in self.tree.folder(self.file, _SUFFIXES)
            if file.path != self.file.path and name.encode() in file.data and _SIGN.search(file.data)
        ]
        return sorted(files, key=lambda file: (file.path.rpartition("/")[2] not in CANONICAL, file.path))

    def _add_override(self, stack: Stack, name: str) -> None:
        """Lays over a service what compose itself takes from override files, and from what is included with it."""
        above = [*self._overrides(self.file)]
        if (use := self.includes.use_of(self.file)) is not None:
            above += [*use.above, *self._overrides(use.entry.by)]
        for file in above:
            found = self._service_in(file, name)
            if found is not None:
                origin = file.path.rpartition("/")[2]
                self._add(stack, Layer(found[2], found[1], origin), found[0], name, set())

    def _overrides(self, file: SourceFile) -> list[SourceFile]:
        """The override file that compose takes by itself with a file, if there is one."""
        paths = (path.rpartition("/")[2] for path in _override_paths(file.path))
        return [found for path in paths if (found := self.tree.sibling(file, path)) is not None][:1]

    # Settings.

    def _setting(self, key: str, node: Node, layer: Layer) -> Setting:
        return self._assigned(of_node(key, node), layer, node)

    def _assigned(self, assigned: Assignment, layer: Layer, node: Node) -> Setting:
        name, file, lookup = assigned.name, layer.file, layer.lookup or self.lookup
        if node.is_filled_in:
            unknown = Unknown(f"{written(assigned, file)} is filled in by a template")
            return Setting(name, unknown, assigned.span, file, layer.origin, is_literal=False)
        if assigned.value is None:
            found = lookup(name)
            if found is None:
                unknown = Unknown(f"${name} is set where compose runs")
                return Setting(name, unknown, assigned.span, file, layer.origin, is_literal=False)
            return Setting(name, found.value, found.span, found.file, f"${name} in .env", is_literal=False)
        is_literal = assigned.is_literal and not layer.is_shared
        setting = interpolated(name, assigned.value, assigned.span, file, layer.origin, is_literal, lookup)
        if assigned.node is not None and assigned.node.is_plain and setting.value == assigned.node.text:
            setting.value = go_text(assigned.node.text)
        return setting

    def _takes_image(self, subject: Subject, stack: Stack) -> bool:
        """Adds the image, and says whether the service runs Ollama."""
        entrypoint, command = stack.texts("entrypoint"), stack.texts("command")
        image = stack.last("image")
        reference = ""
        if image is not None and image[0].is_scalar:
            setting = self._setting(IMAGE, *image)
            reference = setting.value if isinstance(setting.value, str) else image[0].text
        build = stack.last("build")
        if build is not None:
            reference = self._built(subject, *build, reference)
        elif reference:
            subject.add(setting)
        what = role(reference, entrypoint, command)
        if what is Role.UNSURE:
            subject.unknown = Unknown(f"{(entrypoint or command or '').strip()} decides what runs")
        return what is not Role.OTHER

    def _built(self, subject: Subject, build: Node, layer: Layer, reference: str) -> str:
        """Adds what the Dockerfile of a service says; answers an image that stands for what is built."""
        context = build.text if build.is_scalar else build.text_at("context") or "."
        path = posixpath.join(context, build.text_at("dockerfile") or "Dockerfile")
        file = self._at(layer, path) if build.get("dockerfile_inline") is None else None
        if file is None or build.get("target") is not None:
            subject.unknown = Unknown(f"{path} is not in the tree" if file is None else f"{path} may set more")
            return reference
        built = _BUILT.of(self.tree).of(file)
        if built is None:
            return ""
        SETTINGS.of(self.tree).spend(len(built), subject.span.start)
        origin = f"built from {path}"
        for one in built:
            subject.settings[one.key] = Setting(one.key, one.value, one.span, one.file, origin, is_literal=False)
        return "ollama"

    def _take_environment(self, subject: Subject, stack: Stack) -> None:
        for layer in stack.layers:
            env_file = layer.service.get("env_file")
            for entry in [] if env_file is None else env_file.items or [env_file]:
                self._take_env_file(subject, entry, layer)
        for layer in stack.layers:
            environment = layer.service.get("environment")
            if environment is None:
                continue
            if environment.has_own_tag:  # !reset and !override
                for key in [key for key in subject.settings if is_variable(key)]:
                    del subject.settings[key]
            of_layer: set[str] = set()
            for assigned in assignments(environment):
                if not is_variable(assigned.name):
                    continue
                if assigned.name not in of_layer:
                    subject.settings.pop(assigned.name, None)  # of a lower layer: no repetition
                of_layer.add(assigned.name)
                if layer.is_shared:
                    SETTINGS.of(self.tree).spend(_AN_EXTENDED_ONE, subject.span.start)
                subject.add(self._assigned(assigned, layer, assigned.node or assigned.item or environment))

    def _take_env_file(self, subject: Subject, entry: Node, layer: Layer) -> None:
        node = entry if entry.is_scalar else entry.get("path")
        if node is None:
            return
        path = self._setting("env_file", node, layer).value
        if isinstance(path, Unknown):
            subject.unknown = Unknown(f"the env file {node.text} is not known")
            return
        file = self._at(layer, path)
        if file is None:
            subject.unknown = Unknown(f"the env file {path} is not in the tree")
            return
        dialect = Dialect.DOCKER if entry.text_at("format") == "raw" else Dialect.DOTENV
        for setting in shared_variables(file, self.tree, dialect, f"env_file {path}", subject.span.start):
            subject.settings[setting.key] = setting

    def _take_memory(self, subject: Subject, stack: Stack) -> None:
        found = stack.last("deploy", "resources", "limits", "memory") or stack.last("mem_limit")
        if found is None or not found[0].is_scalar:
            return
        setting = sized(self._setting(MEMORY_LIMIT, *found))
        if setting.value != 0:  # none
            subject.add(setting)

    def _take_gpus(self, subject: Subject, stack: Stack) -> None:
        reserved = stack.last("deploy", "resources", "reservations", "devices")
        found = reserved or stack.last("gpus")
        if found is None:
            return
        node, layer = found
        if node.is_scalar:
            subject.add(self._gpus(node, layer))
        for device in node.items:
            capabilities = device.get("capabilities")
            names = [item.text for item in capabilities.items] if capabilities is not None else []
            if "gpu" not in names and device.text_at("driver") != "nvidia" and reserved is not None:
                continue
            ids, count = device.get("device_ids"), device.get("count")
            if ids is not None and ids.is_sequence:
                subject.add(Setting(GPU_COUNT, len(ids.items), ids.span, layer.file, layer.origin, is_literal=False))
            else:
                subject.add(self._gpus(count or device, layer))
            return

    def _gpus(self, node: Node, layer: Layer) -> Setting:
        all_of_them = Unknown("all GPUs of the machine")
        if not node.is_scalar:
            return Setting(GPU_COUNT, all_of_them, node.span, layer.file, layer.origin, is_literal=False)
        setting = self._setting(GPU_COUNT, node, layer)
        if isinstance(setting.value, str):
            digits = setting.value.strip()
            setting.value = int(digits) if digits.isdecimal() and len(digits) < 4 else all_of_them
        return setting


def _override_paths(path: str) -> list[str]:
    """The files that compose lays over one by itself."""
    folder, slash, name = path.rpartition("/")
    if name not in CANONICAL:
        return []
    stem = name.rpartition(".")[0]
    return [f"{folder}{slash}{stem}.override{suffix}" for suffix in (".yml", ".yaml")]


def _server_built(file: SourceFile) -> list[Setting] | None:
    """What the Dockerfile of a server gives it; None where it makes none."""
    from ollama_policy.sources.dockerfile import read_dockerfile  # noqa: PLC0415 - few services are built

    server = next(read_dockerfile(file.data, file, 0, ""), None)
    if server is None:
        return None
    return [one for one in server.settings.values() if one.key == IMAGE or is_variable(one.key)]


_BUILT: Final = OfTree(lambda _: Kept(_server_built))
