"""Values of Helm charts that run Ollama, in files and in what releases carry with them.

The Ollama chart (otwld/ollama-helm) reads `extraEnv`, `image`, `resources` and `ollama.gpu` from its top; most other
charts read `env` beside `image: {repository, tag}`. Whether a chart reads a value at all is not asked here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ollama_policy.settings import (
    GPU_COUNT,
    IMAGE,
    Kind,
    Setting,
    SourceFile,
    Span,
    Style,
    Subject,
    Unknown,
    UnreadableError,
)
from ollama_policy.sources import images
from ollama_policy.sources.compose import go_text
from ollama_policy.sources.containers import Role, command_text, is_variable, role
from ollama_policy.sources.kubernetes import add_limits, scalar_setting, setting_of
from ollama_policy.sources.source import Tree
from ollama_policy.sources.yaml_environment import Assignment, assignments, insertion
from ollama_policy.sources.yaml_nodes import Node
from ollama_policy.sources.yaml_templates import file_documents, template_documents

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
_LARGE: Final = re.compile(r"[+-]?[0-9]{7,}")  # Helm holds it as a float: `quote` makes 1.073741824e+09 of it


@dataclass(frozen=True, slots=True)
class _Place:
    """A mapping among the values, its path, and the key that leads to it."""

    node: Node
    path: tuple[str, ...] = ()
    key: Node | None = None


class Helm:
    """Values files."""

    name = "helm"

    def accepts(self, file: SourceFile) -> bool:
        name = file.path.rpartition("/")[2].lower()
        return _NAME.fullmatch(name) is not None or _SIGN.search(file.data) is not None

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        is_values = _NAME.fullmatch(file.path.rpartition("/")[2].lower()) is not None
        charts = _charts(file, tree) if is_values else frozenset()
        for root in file_documents(file):
            releases = root.get("releases")
            for release in releases.items if releases is not None else ():
                box = release.get("values")
                name = release.text_at("name")
                for values in box.items if box is not None else ():
                    yield from values_subjects(values, file, f"release {name}", _own(release.text_at("chart")))
            yield from values_subjects(root, file, "values", charts, is_values=is_values)


def _own(chart: str) -> frozenset[tuple[str, ...]]:
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
        found |= _own(root.text_at("name"))
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
) -> Iterator[Subject]:
    """The servers that values configure. `charts` are the paths at which values of Ollama's own chart begin.

    Where it is not certain that these are values (`is_values`), an image in one text may be a job's or a dependency's.
    """
    stack = [_Place(root)]
    shared: set[int] = set()
    while stack:
        place = stack.pop()
        if place.node.is_shared:
            if place.node.id in shared:
                continue
            shared.add(place.node.id)
        for number, item in enumerate(place.node.items):
            stack.append(_Place(item, (*place.path, str(number))))
        if not place.node.is_mapping:
            continue
        is_chart = place.path in charts or _is_chart(place.node)
        if is_chart or (_reference(place.node) and (is_values or place.node.at("image", "repository") is not None)):
            subject = _subject(place, file, address, is_chart)
            if subject is not None:
                subject.unknown = subject.unknown or unknown
                yield subject
        stack += [_Place(value, (*place.path, key.text), key) for key, value in reversed(place.node.members)]


def _is_chart(node: Node) -> bool:
    """Whether these look like the values of Ollama's own chart, which has `gpu` and `models` under `ollama`."""
    inside = node.get("ollama")
    if inside is None or not inside.is_mapping:
        return False
    gpu, models = inside.get("gpu"), inside.get("models")
    has_models = models is not None and any(key.text in _MODEL_KEYS for key, _ in models.members)
    return has_models or (gpu is not None and gpu.is_mapping)


def _reference(node: Node) -> str:
    """The image of Ollama that stands here; empty where none does."""
    image = node.get("image")
    if image is None:
        return ""
    reference = image.text if image.is_scalar else image.text_at("repository")
    return reference if images.is_ollama(reference) else ""


def _subject(place: _Place, file: SourceFile, address: str, is_chart: bool) -> Subject | None:
    node = place.node
    reference = _reference(node)
    image = node.get("image")
    if not reference and image is not None and (image.text or image.text_at("repository")):
        return None  # another program's, whatever its values look like
    command, args = command_text(node.get("command")), command_text(node.get("args"))
    what = role(reference or "ollama", command, args)
    if what is Role.OTHER:
        return None
    where = ".".join(filter(None, (address, *place.path)))
    subject = Subject(Kind.SERVER, where, file, _span(place), Style.YAML)
    if what is Role.UNSURE:
        subject.unknown = Unknown(f"{(command or args or '').strip()} decides what runs")
    _add_image(subject, image, file, is_chart)
    keys = _OLLAMA_ENVIRONMENTS if is_chart else _ENVIRONMENTS
    for key in keys:
        box = node.get(key)
        if box is None or not (box.is_mapping or box.is_sequence):
            continue
        for assigned in assignments(box):
            if is_variable(assigned.name):
                subject.add(_variable(assigned, file, is_map=box.is_mapping))
        if not node.holds_actions:
            subject.insertion = subject.insertion or insertion(box, file)
    for key in _ENV_FROM:
        more = node.get(key)
        if more is not None and (more.items or more.members or (more.is_scalar and more.text)):
            subject.unknown = Unknown(f"{key} may set more")
    add_limits(subject, node.get("resources"), file)
    if is_chart and GPU_COUNT not in subject.settings:
        _add_gpus(subject, node.at("ollama", "gpu"), file)
    if node.holds_actions:
        subject.unknown = subject.unknown or Unknown("a template decides what is there")
    return subject


def _span(place: _Place) -> Span:
    if place.key is not None:
        return place.key.span
    for name in ("image", "ollama", *_ENVIRONMENTS):
        pair = place.node.pair(name)
        if pair is not None:
            return pair[0].span
    return place.node.own_members[0][0].span if place.node.own_members else place.node.span


def _add_image(subject: Subject, image: Node | None, file: SourceFile, is_chart: bool) -> None:
    """Adds the image, where its version is said: the one that a chart takes otherwise is not known here."""
    if image is None:
        return
    if image.is_scalar:
        if not image.is_null:
            subject.add(scalar_setting(IMAGE, image, file))
        return
    repository, tag, digest = image.text_at("repository"), image.text_at("tag"), image.text_at("digest")
    repository = repository or (_CHARTS_IMAGE if is_chart else "")
    node = image.get("tag") if tag else image.get("digest")
    if not images.is_ollama(repository) or node is None or not (tag or digest):
        return
    setting = scalar_setting(IMAGE, node, file)
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


def _add_gpus(subject: Subject, gpu: Node | None, file: SourceFile) -> None:
    if gpu is None or gpu.text_at("enabled").lower() != "true":
        return
    number = gpu.get("number")
    if number is None:
        enabled = gpu.get("enabled")
        assert enabled is not None
        subject.add(Setting(GPU_COUNT, 1, enabled.span, file, "the chart's default", is_literal=False))
    elif number.is_scalar and number.text.isdecimal() and len(number.text) < 4:
        subject.add(Setting(GPU_COUNT, int(number.text), number.span, file))


# Releases that are objects of their own.


def release_subjects(item: Node, file: SourceFile) -> Iterator[Subject]:
    """The servers of a HelmRelease, a HelmChart, an Argo CD Application, or kustomize's helmCharts."""
    kind, name = item.text_at("kind"), item.text_at("metadata", "name")
    address = f"{kind}/{name}".rstrip("/")
    charts = item.get("helmCharts")
    for chart in charts.items if charts is not None else ():
        yield from release_values(
            chart.get("valuesInline"), file, f"helmChart {chart.text_at('name')}", chart.text_at("name")
        )
    spec = item.get("spec")
    if spec is None:
        return
    if kind == "HelmRelease":
        chart_name = spec.text_at("chart", "spec", "chart")
        unknown = Unknown("valuesFrom may set more") if spec.get("valuesFrom") is not None else None
        yield from release_values(spec.get("values"), file, address, chart_name, unknown)
    elif kind in ("HelmChart", "HelmChartConfig"):
        chart_name = spec.text_at("chart") or name
        yield from release_values(spec.get("valuesContent"), file, address, chart_name)
    else:
        yield from _argo(spec if kind == "Application" else spec.at("template", "spec"), file, address)


def _argo(spec: Node | None, file: SourceFile, address: str) -> Iterator[Subject]:
    if spec is None:
        return
    several = spec.get("sources")
    for source in several.items if several is not None else (spec.get("source"),):
        helm = source.get("helm") if source is not None else None
        if source is None or helm is None:
            continue
        more = [key for key in ("parameters", "valueFiles", "fileParameters") if helm.get(key) is not None]
        unknown = Unknown(f"{more[0]} may set more") if more else None
        values = helm.get("valuesObject") or helm.get("values")
        yield from release_values(values, file, address, source.text_at("chart"), unknown)


def release_values(
    values: Node | None, file: SourceFile, address: str, chart: str, unknown: Unknown | None = None
) -> Iterator[Subject]:
    """`values` are a mapping, or a text that holds one."""
    if values is None:
        return
    block = values.block
    for root in template_documents(*block) if block is not None else [values]:
        yield from values_subjects(root, file, address, _own(chart), unknown)
