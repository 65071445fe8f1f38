"""Values of a Helm release that stand in another file: Argo CD's applications, Flux's releases."""

from collections.abc import Iterator

from ollama_policy.model.settings import (
    SourceFile,
    Subject,
    Unknown,
)
from ollama_policy.sources.kubernetes.helm import own_chart, values_subjects
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import template_documents


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
        yield from values_subjects(root, file, address, own_chart(chart), unknown)
