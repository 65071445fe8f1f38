"""Values of Helm charts that run Ollama, in files and in what releases carry with them.

The Ollama chart (otwld/ollama-helm) reads `extraEnv`, `image`, `resources` and `ollama.gpu` from its top; most other
charts read `env` beside `image: {repository, tag}`. Whether a chart reads a value at all is not asked here.

Files such as `values-prod.yaml` are laid over the `values.yaml` beside them, or that of the chart whose folder they are
in: maps are merged, all else takes the place of what is below, and null takes it away (helm's chartutil/coalesce.go).
Where such a file says nothing, the one below speaks for itself.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model import images
from ollama_policy.model.settings import (
    GPU_COUNT,
    IMAGE,
    MEMORY_LIMIT,
    Kind,
    Setting,
    SourceFile,
    Span,
    Style,
    Subject,
    Unknown,
)
from ollama_policy.sources.common.containers import Role, command_text, role
from ollama_policy.sources.common.environment import is_variable
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.common.yaml_environment import Assignment, assignments, insertion
from ollama_policy.sources.compose.go_text import go_text
from ollama_policy.sources.kubernetes.helm_layers import Layers
from ollama_policy.sources.kubernetes.settings import add_limits, scalar_setting, setting_of
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import file_documents, template_documents

_NAME: Final = re.compile(r"(?:.*[._-])?values(?:[._-].*)?\.ya?ml")
_SIGN: Final = re.compile(
    rb"(?:^|[{,])[ \t-]*[\"']?repository[\"']?[ \t]*:[ \t]*[\"']?[^\s\"'#]{0,200}ollama[\"',}\s]|^releases[ \t]*:",
    re.MULTILINE,
)
_CHART: Final = "ollama"
_CHARTS_IMAGE: Final = "ollama/ollama"
_OLLAMA_ENVIRONMENTS: Final = ("extraEnv", "extraEnvVars")
_ENVIRONMENTS: Final = (
    "env",
    "envs",
    "envVars",
    "environment",
    "environmentVariables",
    "extraEnvs",
    *_OLLAMA_ENVIRONMENTS,
)
_ENV_FROM: Final = ("envFrom", "extraEnvFrom", "extraEnvVarsSecret", "extraEnvVarsCM")
_MODEL_KEYS: Final = frozenset(("pull", "run", "create", "clean"))
_BASES: Final = ("values.yaml", "values.yml")
_LARGE: Final = re.compile(r"[+-]?[0-9]{7,}")  # Helm holds it as a float: `quote` makes 1.073741824e+09 of it


# What a file says of a server, where it says something of it.
_SAYS: Final = ("image", "resources", "command", "args", *_ENVIRONMENTS, *_ENV_FROM)
_MAX_UP: Final = 3  # folders between a chart and the values that are laid over its own


class _Place(NamedTuple):
    """A mapping among the values, its path, and the key that leads to it."""

    layers: Layers
    path: tuple[str, ...] = ()
    key: Node | None = None

    @property
    def node(self) -> Node:
        return self.layers.node


class _Below(NamedTuple):
    """What a values file is laid over. `is_certain`: it has no other use, and need not show whose values it has."""

    layers: tuple[tuple[Node, SourceFile], ...] = ()
    is_certain: bool = False
    unknown: Unknown | None = None


class Helm:
    """Values files."""

    name = "helm"

    def accepts(self, file: SourceFile) -> bool:
        name = file.path.rpartition("/")[2].lower()
        return _NAME.fullmatch(name) is not None or _SIGN.search(file.data) is not None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        is_values = _NAME.fullmatch(file.path.rpartition("/")[2].lower()) is not None
        charts = _charts(file, tree) if is_values else frozenset()
        below = _below(file, tree) if is_values else _Below()
        if below.layers:
            charts |= _charts(below.layers[-1][1], tree)
        for root in file_documents(file):
            releases = root.get("releases")
            for release in releases.items if releases is not None else ():
                box = release.get("values")
                name = release.text_at("name")
                for values in box.items if box is not None else ():
                    yield from values_subjects(values, file, f"release {name}", own_chart(release.text_at("chart")))
            yield from values_subjects(root, file, "values", charts, below.unknown, is_values=is_values, below=below)


def _below(file: SourceFile, tree: Tree) -> _Below:
    """The values that a file is laid over: those beside it, and those of the chart whose folder it is in."""
    name = file.path.rpartition("/")[2].lower()
    is_chart = tree.sibling(file, "Chart.yaml") is not None
    base, is_certain = None, True
    if name not in _BASES:
        base, is_certain = _base_in(file, "", tree), is_chart and name.startswith("values")
    if base is None and not is_chart:
        base, is_certain = _base_above(file, tree), True
    if base is None:
        return _Below()
    try:
        roots = template_documents(base.data)
    except UnreadableError:
        return _Below(unknown=Unknown(f"{base.path}, which it is laid over, cannot be read"))
    further = _below(base, tree)
    return _Below((*((root, base) for root in roots[:1]), *further.layers), is_certain, further.unknown)


def _base_in(file: SourceFile, folder: str, tree: Tree) -> SourceFile | None:
    return next((found for name in _BASES if (found := tree.sibling(file, folder + name)) is not None), None)


def _base_above(file: SourceFile, tree: Tree) -> SourceFile | None:
    """The values of the chart that a file's folder is in, unless it is that of a chart within the chart."""
    folders = file.path.split("/")[:-1]
    for up in range(1, min(_MAX_UP, len(folders)) + 1):
        if folders[-up] == "charts":
            return None
        if tree.sibling(file, "../" * up + "Chart.yaml") is not None:
            return _base_in(file, "../" * up, tree)
    return None


def own_chart(chart: str) -> frozenset[tuple[str, ...]]:
    """Where the values of Ollama's own chart begin in those of a chart."""
    return frozenset([()] if chart.rpartition("/")[2] == _CHART else [])


def _charts(file: SourceFile, tree: Tree) -> frozenset[tuple[str, ...]]:
    """Where in a values file those of Ollama's own chart begin, by the Chart.yaml beside it."""
    chart = tree.sibling(file, "Chart.yaml")
    if chart is None:
        return frozenset()
    try:
        roots = template_documents(chart.data)
    except UnreadableError:
        return frozenset()
    found: set[tuple[str, ...]] = set()
    for root in roots:
        found |= own_chart(root.text_at("name"))
        dependencies = root.get("dependencies")
        for dependency in dependencies.items if dependencies is not None else ():
            if dependency.text_at("name") == _CHART:
                found.add((dependency.text_at("alias") or _CHART,))
    return frozenset(found)


def values_subjects(
    root: Node,
    file: SourceFile,
    address: str,
    charts: frozenset[tuple[str, ...]],
    unknown: Unknown | None = None,
    *,
    is_values: bool = True,
    below: _Below | None = None,
) -> Iterator[Subject]:
    """The servers that values configure. `charts` are the paths at which values of Ollama's own chart begin.

    Where it is not certain that these are values (`is_values`), an image in one text may be a job's or a dependency's.
    """
    below = below or _Below()
    stack = [_Place(Layers(((root, file), *below.layers)))]
    shared: set[int] = set()
    while stack:
        place = stack.pop()
        if place.node.is_shared:
            if place.node.id in shared:
                continue
            shared.add(place.node.id)
        for number, item in enumerate(place.node.items):
            stack.append(_Place(Layers(((item, file),)), (*place.path, str(number))))
        if not place.node.is_mapping:
            continue
        layers = _of_ollama(place, charts, below, is_values=is_values)
        if layers is not None:
            is_chart = place.path in charts or _is_chart(layers)
            subject = _subject(place._replace(layers=layers), address, is_chart)
            if subject is not None:
                subject.unknown = subject.unknown or unknown
                yield subject
        stack += _inner(place)


def _inner(place: _Place) -> Iterator[_Place]:
    """The places under one, from the last; of a key that is repeated, only the last is laid over anything."""
    file = place.layers.file
    below = [({key.text: value for key, value in node.members}, other) for node, other in place.layers.below.nodes]
    for key, value in reversed(place.node.members):
        nodes = [(value, file)]
        for named, other in below if value.is_mapping else ():
            node = named.pop(key.text, None)
            if node is not None and not node.is_mapping:
                break
            if node is not None:
                nodes.append((node, other))
        yield _Place(Layers(tuple(nodes)), (*place.path, key.text), key)


def _of_ollama(place: _Place, charts: frozenset[tuple[str, ...]], below: _Below, *, is_values: bool) -> Layers | None:
    """The layers that configure a server of Ollama at a place, where there is one and the file says something of it."""

    def shows(layers: Layers) -> bool:
        if place.path in charts or _is_chart(layers):
            return True
        image = layers.get("image")
        return bool(_reference(layers)) and (is_values or (image is not None and image.get("repository") is not None))

    layers = place.layers
    if not layers.below.nodes or not shows(layers.below):
        return layers.own if shows(layers.own) else None
    if not below.is_certain and not shows(layers.own):
        return None
    gpu = layers.own.get("ollama")
    is_said = (gpu is not None and gpu.get("gpu") is not None) or any(map(place.node.get, _SAYS))
    return layers if is_said else None


def _is_chart(layers: Layers) -> bool:
    """Whether these look like the values of Ollama's own chart, which has `gpu` and `models` under `ollama`."""
    inside = layers.get("ollama")
    if inside is None or not inside.node.is_mapping:
        return False
    gpu, models = inside.get("gpu"), inside.get("models")
    has_models = models is not None and any(node.get(key) for node, _ in models.nodes for key in _MODEL_KEYS)
    return has_models or (gpu is not None and gpu.node.is_mapping)


def _reference(layers: Layers) -> str:
    """The image of Ollama that stands here; empty where none does."""
    image = layers.get("image")
    if image is None:
        return ""
    reference = image.node.text if image.node.is_scalar else image.text_at("repository")
    return reference if images.is_ollama(reference) else ""


def _subject(place: _Place, address: str, is_chart: bool) -> Subject | None:
    node, layers = place.node, place.layers
    reference = _reference(layers)
    image = layers.get("image")
    if not reference and image is not None and (image.node.text or image.text_at("repository")):
        return None  # another program's, whatever its values look like
    command, args = (command_text(found.node) if (found := layers.get(key)) else None for key in ("command", "args"))
    what = role(reference or "ollama", command, args)
    if what is Role.OTHER:
        return None
    where = ".".join(filter(None, (address, *place.path)))
    subject = Subject(Kind.SERVER, where, layers.file, _span(place), Style.YAML)
    if what is Role.UNSURE:
        subject.unknown = Unknown(f"{(command or args or '').strip()} decides what runs")
    _add_image(subject, image, is_chart)
    for key in _OLLAMA_ENVIRONMENTS if is_chart else _ENVIRONMENTS:
        box = layers.get(key)
        for part, file in reversed(box.nodes) if box is not None else ():
            _add_variables(subject, part, file)
            if file is layers.file and not node.holds_actions:
                subject.insertion = subject.insertion or insertion(part, file)
    for key in _ENV_FROM:
        more = layers.get(key)
        if more is not None and (more.node.items or more.node.members or (more.node.is_scalar and more.node.text)):
            subject.unknown = Unknown(f"{key} may set more")
    resources = layers.get("resources")
    for part, file in reversed(resources.nodes) if resources is not None else ():
        _add_limits(subject, part, file)
    if is_chart and GPU_COUNT not in subject.settings:
        inside = layers.get("ollama")
        _add_gpus(subject, inside.get("gpu") if inside is not None else None)
    if any(part.holds_actions for part, _ in layers.nodes):
        subject.unknown = subject.unknown or Unknown("a template decides what is there")
    return subject


def _add_variables(subject: Subject, box: Node, file: SourceFile) -> None:
    """Adds what a layer says, over what those below it do."""
    of_layer: set[str] = set()
    for assigned in assignments(box):
        if not is_variable(assigned.name):
            continue
        if assigned.name not in of_layer:
            subject.settings.pop(assigned.name, None)
        of_layer.add(assigned.name)
        subject.add(_variable(assigned, file, is_map=box.is_mapping))


def _add_limits(subject: Subject, resources: Node, file: SourceFile) -> None:
    limits = resources.get("limits")
    if limits is not None:
        names = [MEMORY_LIMIT if key.text == "memory" else GPU_COUNT for key, _ in limits.members]
        for name in [MEMORY_LIMIT, GPU_COUNT] if limits.is_null else names:
            subject.settings.pop(name, None)
    add_limits(subject, resources, file)


def _span(place: _Place) -> Span:
    if place.key is not None:
        return place.key.span
    for name in ("image", "ollama", *_ENVIRONMENTS):
        pair = place.node.pair(name)
        if pair is not None:
            return pair[0].span
    return place.node.own_members[0][0].span if place.node.own_members else place.node.span


def _add_image(subject: Subject, image: Layers | None, is_chart: bool) -> None:
    """Adds the image, where its version is said: the one that a chart takes otherwise is not known here."""
    if image is None:
        return
    if image.node.is_scalar:
        subject.add(scalar_setting(IMAGE, image.node, image.file))
        return
    repository, tag, digest = image.text_at("repository"), image.text_at("tag"), image.text_at("digest")
    repository = repository or (_CHARTS_IMAGE if is_chart else "")
    version = image.get("tag") if tag else image.get("digest")
    if not images.is_ollama(repository) or version is None or not (tag or digest):
        return
    setting = scalar_setting(IMAGE, version.node, version.file)
    if setting.is_known:
        registry = image.text_at("registry")
        setting.value = "".join(
            (f"{registry}/" if registry else "", repository, f":{tag}" if tag else "", f"@{digest}" if digest else "")
        )
    setting.is_literal = False
    subject.add(setting)


def _variable(assigned: Assignment, file: SourceFile, *, is_map: bool) -> Setting:
    name, node = assigned.name, assigned.node
    source = assigned.item.get("valueFrom") if assigned.item is not None else None
    if source is not None:
        return Setting(name, Unknown("its value is from elsewhere"), source.span, file, is_literal=False)
    if node is not None and node.is_mapping:  # a map of `{value: …}`
        inner = node.get("value")
        if inner is None or not inner.is_scalar or inner.is_null:
            return Setting(name, Unknown("its value is from elsewhere"), assigned.span, file, is_literal=False)
        node, setting = inner, scalar_setting(name, inner, file)
    elif assigned.value is None:
        return Setting(name, "", assigned.span, file, is_literal=False)  # as good as not set
    else:
        setting = setting_of(name, assigned, file)
    if is_map and setting.is_known and node is not None and node.is_plain:
        if _LARGE.fullmatch(node.text):
            setting.value = Unknown(f"Helm may write {node.text} with an exponent: put it in quotes")
        else:
            setting.value = go_text(node.text)
    return setting


def _add_gpus(subject: Subject, gpu: Layers | None) -> None:
    enabled = gpu.get("enabled") if gpu is not None else None
    if gpu is None or enabled is None or enabled.node.text.lower() != "true":
        return
    number = gpu.get("number")
    if number is None:
        subject.add(Setting(GPU_COUNT, 1, enabled.node.span, enabled.file, "the chart's default", is_literal=False))
    elif number.node.is_scalar and number.node.text.isdecimal() and len(number.node.text) < 4:
        subject.add(Setting(GPU_COUNT, int(number.node.text), number.node.span, number.file))


# Releases that are objects of their own.
