"""`kubernetes_manifest`: an object of any kind, written out in HCL."""

import json

import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, Subject
from tests.policies.sources.reading import UNKNOWN, at, facts
from tests.policies.sources.terraform.module_of import plain, subjects_of

VARIABLES = 'variable "known" {\n  default = "0.6.0"\n}\nvariable "unknown" {}\n'


def servers(manifest: str) -> list[Subject]:
    text = f'{VARIABLES}resource "kubernetes_manifest" "m" {{\n  manifest = {manifest}\n}}\n'
    return [*subjects_of({"main.tf": text}).values()]


def pod(image: str, more: str = "") -> str:
    containers = f'[{{ name = "o", image = {image}, {more} }}, {{ name = "web", image = "nginx" }}]'
    return f'{{ kind = "Pod", metadata = {{ name = "p" }}, spec = {{ containers = {containers} }} }}'


def test_each_part_is_placed_where_it_is_written() -> None:
    env = 'env = [{ name = "OLLAMA_KEEP_ALIVE", value = "1d" }, { "name" = "OLLAMA_DEBUG", "value" = tostring(1) }]'
    limits = 'resources = { limits = { memory = "8Gi", "nvidia.com/gpu" = 2 } }'
    (subject,) = servers(pod('"ollama/ollama:0.6.0"', f"{env}, {limits}"))
    assert facts(subject) == {
        IMAGE: ("ollama/ollama:0.6.0", '"ollama/ollama:0.6.0"'),
        "OLLAMA_KEEP_ALIVE": ("1d", '"1d"'),
        "OLLAMA_DEBUG": ("1", "tostring(1)"),
        MEMORY_LIMIT: (8 << 30, '"8Gi"'),
        GPU_COUNT: (2, "2"),
    }
    assert (subject.address, at(subject)) == ("kubernetes_manifest.m Pod/p container o", '"o"')
    assert [key for key, setting in subject.settings.items() if setting.is_literal] == [
        "OLLAMA_KEEP_ALIVE",
        MEMORY_LIMIT,
        IMAGE,
    ]
    assert subject.unknown is None
    assert subject.insertion is None


@pytest.mark.parametrize(
    ("image", "value"),
    [
        ('"ollama/ollama:${var.known}"', "ollama/ollama:0.6.0"),
        ('"ollama/ollama:${var.unknown}"', UNKNOWN),
        ('"${var.unknown}/ollama/ollama:0.6.0"', UNKNOWN),
        ('"${var.unknown}"', None),
        ("var.unknown", None),
        ('"nginx:${var.unknown}"', None),
    ],
)
def test_only_ollamas_own_image_is_a_server(image: str, value: str | None) -> None:
    found = servers(pod(image))
    assert [facts(subject)[IMAGE] for subject in found] == ([] if value is None else [(value, image)])


@pytest.mark.parametrize(
    "more",
    [
        "env = var.unknown",
        'env = concat([{ name = "OLLAMA_DEBUG", value = "1" }], var.unknown)',
        'env = [{ name = var.unknown, value = "1" }, var.unknown]',
        "envFrom = [{ configMapRef = { name = var.unknown } }]",
        "resources = var.unknown",
        "(var.unknown) = 1",
    ],
)
def test_what_may_bring_more_is_said(more: str) -> None:
    (subject,) = servers(pod('"ollama/ollama"', more))
    assert subject.unknown is not None
    assert plain(subject) == {IMAGE: "ollama/ollama"}


def test_a_job_that_only_pulls_is_no_server() -> None:
    assert servers(pod('"ollama/ollama"', 'command = ["ollama", "pull", "x"]')) == []


def test_a_release_of_helm() -> None:
    (subject,) = servers(
        '{ kind = "HelmRelease", metadata = { name = "r" }, spec = { chart = { spec = { chart = "ollama" } },'
        ' values = { extraEnv = [{ name = "OLLAMA_KEEP_ALIVE", value = "1d" }] } } }'
    )
    assert facts(subject) == {"OLLAMA_KEEP_ALIVE": ("1d", '"1d"')}


def test_json_and_a_plan() -> None:
    container = {"name": "o", "image": "ollama/ollama", "env": [{"name": "OLLAMA_KEEP_ALIVE", "value": "1d"}]}
    manifest = {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    configuration = {"resource": {"kubernetes_manifest": {"m": {"manifest": manifest}}}}
    resource = {"address": "kubernetes_manifest.m", "type": "kubernetes_manifest", "name": "m"}
    plan = {"planned_values": {"root_module": {"resources": [resource | {"values": {"manifest": manifest}}]}}}
    for path, content in (("main.tf.json", configuration), ("plan.json", plan)):
        (subject,) = subjects_of({path: json.dumps(content)}).values()
        assert facts(subject) == {IMAGE: ("ollama/ollama", '"ollama/ollama"'), "OLLAMA_KEEP_ALIVE": ("1d", '"1d"')}


@pytest.mark.parametrize(
    "manifest",
    [
        "{ a = " * 3000 + "1" + " }" * 3000,
        "[" * 3000 + "]" * 3000,
        "var.unknown",
        '"a"',
        "{}",
        "null",
        '{ "\\u0001" = 1 }',
    ],
)
def test_hostile_manifests(manifest: str) -> None:
    assert servers(manifest) == []
