"""`helm_release`: values and sets as one, each part with its own place."""

import json

import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, Subject, apply, insert
from tests.policies.sources.reading import at
from tests.policies.sources.terraform.module_of import cut, plain, subjects_of

VARIABLES = 'variable "known" {\n  default = "2"\n}\nvariable "unknown" {}\n'


def release(body: str, chart: str = "ollama", **files: str) -> Subject | None:
    text = f'{VARIABLES}resource "helm_release" "ollama" {{\n  chart = "{chart}"\n{body}\n}}\n'
    found = [
        *subjects_of({"main.tf": text, **{name.replace("__", "."): data for name, data in files.items()}}).values()
    ]
    own = [subject for subject in found if subject.address.startswith("helm_release")]
    assert len(own) < 2
    return own[0] if own else None


def facts(subject: Subject | None) -> dict[str, tuple[object, str]]:
    assert subject is not None
    return {key: (value, cut(subject.settings[key])) for key, value in plain(subject).items()}


VALUES = """  values = [<<-EOT
    image:
      tag: "0.5.7"
    extraEnv:
      - name: OLLAMA_KEEP_ALIVE
        value: "24h"
    resources:
      limits: {memory: 8Gi}
    ollama:
      gpu:
        enabled: true
        number: 1
    EOT
  ]"""
OF_VALUES: dict[str, tuple[object, str]] = {
    IMAGE: ("ollama/ollama:0.5.7", '"0.5.7"'),
    "OLLAMA_KEEP_ALIVE": ("24h", '"24h"'),
    MEMORY_LIMIT: (8 << 30, "8Gi"),
    GPU_COUNT: (1, "1"),
}


@pytest.mark.parametrize("chart", ["ollama", "otwld/ollama", "oci://r.example/charts/ollama", "${path.module}/ollama"])
def test_one_text_of_values_is_read_where_it_stands(chart: str) -> None:
    subject = release(VALUES, chart)
    if "$" in chart:
        assert subject is not None  # by its `ollama.gpu`
    assert facts(subject) == OF_VALUES
    assert subject is not None
    assert (subject.address, at(subject), subject.unknown) == ("helm_release.ollama", "image", None)
    assert subject.settings["OLLAMA_KEEP_ALIVE"].is_literal
    edit = insert(subject, "NEW", "v")
    assert edit is not None
    after = apply([edit], subject.file.data).decode()
    assert '        value: "24h"\n      - name: NEW\n        value: "v"\n    resources:' in after


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '  values = [yamlencode({ extraEnv = [{ name = "OLLAMA_KEEP_ALIVE", value = "1d" }] })]',
            {"OLLAMA_KEEP_ALIVE": ("1d", '"1d"')},
        ),
        (
            '  values = [jsonencode({ extraEnv = [{ name = "OLLAMA_NUM_PARALLEL", value = var.known },'
            ' { name = "OLLAMA_DEBUG", value = var.unknown }] })]',
            {
                "OLLAMA_NUM_PARALLEL": ("2", "var.known"),
                "OLLAMA_DEBUG": ("? var.unknown has no default", "var.unknown"),
            },
        ),
        (
            '  values = [yamlencode({ extraEnv = [for k, v in { OLLAMA_DEBUG = true } : { name = k, value = "1" }] })]',
            {"OLLAMA_DEBUG": ("1", '[for k, v in { OLLAMA_DEBUG = true } : { name = k, value = "1" }]')},
        ),
        (
            '  values = ["extraEnv: [{name: OLLAMA_KEEP_ALIVE, value: 1d}]"]',
            {"OLLAMA_KEEP_ALIVE": ("1d", '"extraEnv: [{name: OLLAMA_KEEP_ALIVE, value: 1d}]"')},
        ),
        (
            '  set {\n    name = "extraEnv[0].name"\n    value = "OLLAMA_KEEP_ALIVE"\n  }\n'
            '  set {\n    name = "extraEnv[0].value"\n    value = "1d"\n  }',
            {"OLLAMA_KEEP_ALIVE": ("1d", '"1d"')},
        ),
        (
            '  set = [\n    { name = "image.tag", value = "0.6.0" },\n'
            '    { name = "resources.limits.memory", value = "4Gi" },\n'
            '    { name = "resources.limits.nvidia\\\\.com/gpu", value = 1 },\n  ]',
            {IMAGE: ("ollama/ollama:0.6.0", '"0.6.0"'), MEMORY_LIMIT: (4 << 30, '"4Gi"'), GPU_COUNT: (1, "1")},
        ),
        (
            '  set = [for k, v in { tag = "0.6.0" } : { name = "image.${k}", value = v }]',
            {IMAGE: ("ollama/ollama:0.6.0", '[for k, v in { tag = "0.6.0" } : { name = "image.${k}", value = v }]')},
        ),
        (
            '  set_sensitive {\n    name = "image.tag"\n    value = "0.6.0"\n  }',
            {IMAGE: ("? image.tag is sensitive", '"0.6.0"')},
        ),
        (
            '  set {\n    name = "image.tag"\n    value = var.unknown\n  }',
            {IMAGE: ("? var.unknown has no default", "var.unknown")},
        ),
        # Later values lie over earlier ones: maps by key, lists whole, null takes away, and sets over all.
        (
            VALUES.replace("]", ', yamlencode({ image = { tag = "0.6.0" } })]'),
            OF_VALUES | {IMAGE: ("ollama/ollama:0.6.0", '"0.6.0"')},
        ),
        (
            VALUES.replace("\n  ]", '\n  , "extraEnv: []"]'),
            {key: fact for key, fact in OF_VALUES.items() if key != "OLLAMA_KEEP_ALIVE"},
        ),
        (
            VALUES.replace("\n  ]", '\n  , "resources: null"]'),
            {key: fact for key, fact in OF_VALUES.items() if key != MEMORY_LIMIT},
        ),
        (
            VALUES + '\n  set {\n    name = "extraEnv[1].name"\n    value = "OLLAMA_DEBUG"\n  }\n'
            '  set {\n    name = "extraEnv[1].value"\n    value = "1"\n  }',
            OF_VALUES | {"OLLAMA_DEBUG": ("1", '"1"')},
        ),
    ],
)
def test_what_values_come_to(body: str, expected: dict[str, tuple[object, str]]) -> None:
    subject = release(body)
    assert facts(subject) == expected
    assert subject is not None
    assert subject.unknown is None


def test_a_file_of_the_module() -> None:
    values = 'extraEnv:\n  - name: OLLAMA_KEEP_ALIVE\n    value: "1d"\n'
    for path in ("${path.module}/o.yaml", "o.yaml", "./o.yaml", "${path.root}/o.yaml"):
        subject = release(f'  values = [file("{path}")]', o__yaml=values)
        assert facts(subject) == {"OLLAMA_KEEP_ALIVE": ("1d", '"1d"')}
        assert subject is not None
        assert subject.settings["OLLAMA_KEEP_ALIVE"].file.path == "o.yaml"
        assert subject.settings["OLLAMA_KEEP_ALIVE"].is_literal
        assert subject.insertion is None or subject.file.path == "o.yaml"


@pytest.mark.parametrize(
    "more",
    [
        "values_are = 1\n  VALUES, var.unknown]",
        'VALUES, file("elsewhere.yaml")]',
        "VALUES, yamlencode(var.unknown)]",
        'VALUES, templatefile("x", {})]',
        'VALUES, "{"]',
        'VALUES]\n  dynamic "set" {\n    for_each = var.unknown\n    content {}\n  }',
        "VALUES]\n  set = var.unknown",
        'VALUES]\n  set {\n    name = var.unknown\n    value = "1"\n  }',
        'VALUES]\n  set {\n    name = "extraEnv.a"\n    value = "1"\n  }',
        'VALUES]\n  set {\n    name = "a..{"\n    value = "1"\n  }',
    ],
)
def test_what_may_be_overwritten_is_undecided(more: str) -> None:
    subject = release("  " + more.replace("VALUES", VALUES.removesuffix("]").strip(" ")))
    assert subject is not None
    assert subject.unknown is not None
    assert not any(setting.is_known for setting in subject.settings.values())


@pytest.mark.parametrize(
    "body",
    [
        "  values = var.unknown",
        "  values = [var.unknown]",
        "  values = [yamlencode({ image = var.unknown })]",
        "  values = [yamlencode({ extraEnv = var.unknown })]",
        "  values = [yamlencode({ resources = merge({}, var.unknown) })]",
        '  values = ["image: {"]',
        "  values = [<<EOT\nextraEnv:\n  ${var.unknown}\nEOT\n  ]",
    ],
)
def test_values_that_are_not_known_are_said(body: str) -> None:
    subject = release(body)
    assert subject is not None
    assert subject.unknown is not None


def test_other_charts() -> None:
    text = (
        "  values = [<<EOT\ncontrollers:\n  main:\n    image: {repository: REPOSITORY, tag: latest}\n"
        "    env:\n      OLLAMA_KEEP_ALIVE: 1d\nEOT\n  ]"
    )
    subject = release(text.replace("REPOSITORY", "ollama/ollama"), "app-template")
    assert facts(subject) == {IMAGE: ("ollama/ollama:latest", "latest"), "OLLAMA_KEEP_ALIVE": ("1d", "1d")}
    assert subject is not None
    assert subject.address == "helm_release.ollama controllers.main"
    assert release(text.replace("REPOSITORY", "nginx"), "app-template") is None
    assert release("  values = [var.unknown]", "app-template") is None
    assert release('  version = "1"') is None  # the chart's own values are not here


def test_json() -> None:
    values = ['extraEnv:\n- {name: OLLAMA_KEEP_ALIVE, value: "1d"}\n']
    body = {"chart": "ollama", "values": values, "set": [{"name": "image.tag", "value": "0.6.0"}]}
    (subject,) = subjects_of({"main.tf.json": json.dumps({"resource": {"helm_release": {"o": body}}})}).values()
    assert facts(subject) == {
        IMAGE: ("ollama/ollama:0.6.0", '"0.6.0"'),
        "OLLAMA_KEEP_ALIVE": ("1d", json.dumps(values[0])),
    }
    assert not subject.settings["OLLAMA_KEEP_ALIVE"].is_literal


def test_a_plan() -> None:
    values: dict[str, object] = {"chart": "ollama", "set": []}
    values["values"] = ["extraEnv: [{name: OLLAMA_KEEP_ALIVE, value: 1d}]"]
    resource = {"address": "helm_release.o", "type": "helm_release", "name": "o", "values": values}
    plan = {"planned_values": {"root_module": {"resources": [resource]}}}
    (subject,) = subjects_of({"plan.json": json.dumps(plan)}).values()
    assert plain(subject) == {"OLLAMA_KEEP_ALIVE": "1d"}
    change = {"address": "helm_release.o", "change": {"after_unknown": {"values": [True]}}}
    values["values"] = [None]
    (subject,) = subjects_of({"plan.json": json.dumps(plan | {"resource_changes": [change]})}).values()
    assert subject.unknown is not None


def test_a_manifest_in_a_here_document() -> None:
    (subject,) = subjects_of(
        {
            "main.tf": 'resource "kubernetes_manifest" "m" {\n  manifest = yamldecode(<<-EOT\n    apiVersion: v1\n'
            "    kind: Pod\n    metadata: {name: p}\n    spec:\n      containers:\n        - name: o\n"
            "          image: ollama/ollama:${var.x}\n          env: [{name: OLLAMA_KEEP_ALIVE, value: 1d}]\n"
            "  EOT\n  )\n}\n"
        }
    ).values()
    assert facts(subject) == {
        "OLLAMA_KEEP_ALIVE": ("1d", "1d"),
        IMAGE: ("? var.x is not declared in this module", "ollama/ollama:${var.x}"),
    }


@pytest.mark.parametrize(
    "body",
    [
        "  values = [yamlencode(" + "{ a = " * 3000 + "1" + " }" * 3000 + ")]",
        "  values = [yamlencode(" + "[" * 3000 + "]" * 3000 + '), file("x")]',
        '  values = ["a: &a [x]\\nb: [' + "*a," * 3000 + ']", "{}"]',
        '  values = ["' + "[" * 5000 + '", "{}"]',
        "\n".join(f'  set {{\n    name = "a[{n}].b"\n    value = var.x\n  }}' for n in range(500)),
        '  set {\n    name = "' + "a." * 5000 + '"\n    value = 1\n  }',
        '  set {\n    name = "a[999]"\n    value = "\\ud800{"\n  }\n  values = ["\\u0000", "\\u0085: 1"]',
    ],
)
def test_hostile_values(body: str) -> None:
    release(body)
