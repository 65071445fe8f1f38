import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, Subject, Unknown
from ollama_policy.sources.kubernetes.helm import Helm
from ollama_policy.sources.kubernetes.manifests import Kubernetes
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read

_CHART = "ollama: {models: {pull: [x]}}\n"


def values(text: str, path: str = "values.yaml", **others: str) -> list[Subject]:
    return read(Helm(), path, text, **others)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extraEnv:\n- name: OLLAMA_A\n  value: '5m'\n", {"OLLAMA_A": ("5m", "'5m'")}),
        ("extraEnv:\n- name: OLLAMA_A\n  valueFrom: {fieldRef: {}}\n", {"OLLAMA_A": (UNKNOWN, "{fieldRef: {}}")}),
        ("env: [{name: OLLAMA_A, value: b}]\n", {}),
        ("image: {tag: 0.17.4}\n", {IMAGE: ("ollama/ollama:0.17.4", "0.17.4")}),
        ("image: {repository: r.io/ollama/ollama, tag: '0.5@sha256:0'}\n",
         {IMAGE: ("r.io/ollama/ollama:0.5@sha256:0", "'0.5@sha256:0'")}),
        ("image: {registry: r.io, repository: ollama/ollama, tag: 0.5.1, digest: 'sha256:0'}\n",
         {IMAGE: ("r.io/ollama/ollama:0.5.1@sha256:0", "0.5.1")}),
        ("image: {repository: ollama/ollama, tag: ''}\n", {}),
        ("resources: {limits: {memory: 8Gi, nvidia.com/gpu: 1}}\n",
         {MEMORY_LIMIT: (2**33, "8Gi"), GPU_COUNT: (1, "1")}),
    ],
)  # fmt: skip
def test_values_of_ollamas_chart(text: str, expected: Facts) -> None:
    for form in (_CHART + text, (_CHART + text).replace("\n", "\r\n"), "\ufeff" + _CHART + text):
        subject = only(values(form))
        assert facts(subject) == expected
        assert (subject.address, subject.unknown) == ("values", None)


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ("{enabled: true, number: 2}", {GPU_COUNT: (2, "2")}),
        ("{enabled: true}", {GPU_COUNT: (1, "true")}),
        ("{enabled: false, number: 2}", {}),
    ],
)
def test_gpus_of_ollamas_chart(gpu: str, expected: Facts) -> None:
    assert facts(only(values(f"ollama:\n  gpu: {gpu}\n"))) == expected


@pytest.mark.parametrize(
    ("text", "chart", "address"),
    [
        ("extraEnv: [{name: OLLAMA_A, value: b}]\n", "name: ollama\n", "values"),
        ("ollama:\n  extraEnv: [{name: OLLAMA_A, value: b}]\n", "name: x\ndependencies: [{name: ollama}]\n",
         "values.ollama"),
        ("llm:\n  extraEnv: [{name: OLLAMA_A, value: b}]\n", "name: x\ndependencies: [{name: ollama, alias: llm}]\n",
         "values.llm"),
    ],
)  # fmt: skip
def test_the_chart_beside_values_says_whose_they_are(text: str, chart: str, address: str) -> None:
    subject = only(values(text, Chart_DOT_yaml=chart))
    assert (subject.address, facts(subject)) == (address, {"OLLAMA_A": ("b", "b")})
    assert values(text) == []


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ("OLLAMA_A: 5m", ("5m", "5m")),
        ("OLLAMA_A: 1.0", ("1", "1.0")),
        ("OLLAMA_A: on", (UNKNOWN, "on")),
        ("OLLAMA_A: 1073741824", (UNKNOWN, "1073741824")),
        ("OLLAMA_A: '1073741824'", ("1073741824", "'1073741824'")),
        ("OLLAMA_A: {value: 4}", ("4", "4")),
        ("OLLAMA_A: {valueFrom: {}}", (UNKNOWN, "{valueFrom: {}}")),
        ("OLLAMA_A: '{{ .x }}'", (UNKNOWN, "'{{ .x }}'")),
        ("- {name: OLLAMA_A, value: b}", ("b", "b")),
        ("- OLLAMA_A=b", ("b", "b")),
    ],
)
def test_values_of_charts_for_any_image(env: str, expected: tuple[str, str]) -> None:
    text = f"controllers:\n  llm:\n    image: {{repository: ollama/ollama, tag: 0.5.1}}\n    env:\n      {env}\n"
    for path in ("values.yaml", "ollama.yaml"):
        subject = only(values(text, path))
        assert facts(subject) == {IMAGE: ("ollama/ollama:0.5.1", "0.5.1"), "OLLAMA_A": expected}
        assert (subject.address, at(subject)) == ("values.controllers.llm", "llm")
    assert only(values(inserted(subject))).value("OLLAMA_NEW") == "1"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("values.yaml", "image: {repository: open-webui}\nenv: {OLLAMA_BASE_URL: x}\n"),
        ("values.yaml", "ollama: {enabled: true, baseUrl: x, models: [a]}\n"),
        ("values.yaml", "image: {repository: ollama/ollama}\nargs: [pull, x]\n"),
        ("values.yaml", "image: {repository: open-webui}\n" + _CHART),
        ("ci.yaml", "job: {image: ollama/ollama, env: {OLLAMA_A: 1}}\n"),
        ("values.yaml", "a: &a {b: *a}\n".replace("*a", "x")),
    ],
)
def test_says_nothing_of_others(path: str, text: str) -> None:
    assert values(text, path) == []


def test_more_variables_from_elsewhere_leave_the_rest_unknown() -> None:
    subject = only(values(_CHART + "extraEnvFrom: [{secretRef: {name: x}}]\n"))
    assert subject.unknown == Unknown("extraEnvFrom may set more")


RELEASES = {
    "HelmRelease/ai": """
kind: HelmRelease
metadata: {name: ai}
spec:
  chart: {spec: {chart: ollama}}
  values:
    extraEnv: [{name: OLLAMA_A, value: "1"}]
""",
    "Application/ai": """
kind: Application
metadata: {name: ai}
spec:
  source:
    chart: ollama
    helm:
      values: |
        # note
        extraEnv:
        - name: OLLAMA_A
          value: "1"
""",
    "HelmChart/ai": """
kind: HelmChart
metadata: {name: ai}
spec:
  chart: oci://ghcr.io/charts/ollama
  valuesContent: |-
    extraEnv:
    - {name: OLLAMA_A, value: "1"}
""",
    "ApplicationSet/ai": """
kind: ApplicationSet
metadata: {name: ai}
spec:
  template:
    spec:
      sources:
      - chart: ollama
        helm: {valuesObject: {extraEnv: [{name: OLLAMA_A, value: "1"}]}}
""",
    "helmChart ollama": """
kind: Kustomization
helmCharts:
- name: ollama
  valuesInline: {extraEnv: [{name: OLLAMA_A, value: "1"}]}
""",
}


@pytest.mark.parametrize("address", RELEASES)
def test_releases_carry_values_with_them(address: str) -> None:
    text = "apiVersion: x/v1" + RELEASES[address]
    for form in (text, text.replace("\n", "\r\n")):
        subject = only(read(Kubernetes(), "a.yaml", form))
        assert (subject.address, facts(subject)) == (address, {"OLLAMA_A": ("1", '"1"')})
        assert only(read(Kubernetes(), "a.yaml", inserted(subject))).value("OLLAMA_NEW") == "1"


def test_a_helmfile_carries_values_with_it() -> None:
    text = "releases:\n- name: ai\n  chart: otwld/ollama\n  values:\n  - extraEnv: [{name: OLLAMA_A, value: b}]\n"
    subject = only(values(text, "helmfile.yaml"))
    assert (subject.address, facts(subject)) == ("release ai", {"OLLAMA_A": ("b", "b")})


BASE = """\
ollama: {models: {pull: [x]}, gpu: {enabled: true, number: 2}}
image: {repository: ollama/ollama, tag: 0.17.4}
extraEnv: [{name: OLLAMA_A, value: base}]
resources: {limits: {memory: 8Gi}}
"""
_BASES: Facts = {
    IMAGE: ("ollama/ollama:0.17.4", "0.17.4"),
    "OLLAMA_A": ("base", "base"),
    MEMORY_LIMIT: (2**33, "8Gi"),
    GPU_COUNT: (2, "2"),
}


@pytest.mark.parametrize(
    ("text", "changed", "gone"),
    [
        ("extraEnv: [{name: OLLAMA_B, value: b}]\n", {"OLLAMA_B": ("b", "b")}, ["OLLAMA_A"]),
        ("extraEnv: []\n", {}, ["OLLAMA_A"]),
        ("extraEnv: null\n", {}, ["OLLAMA_A"]),
        ("extraEnv: {OLLAMA_B: b}\n", {"OLLAMA_B": ("b", "b")}, ["OLLAMA_A"]),
        ("image: {tag: 0.18.0}\n", {IMAGE: ("ollama/ollama:0.18.0", "0.18.0")}, []),
        ("image: {registry: r.io}\n", {IMAGE: ("r.io/ollama/ollama:0.17.4", "0.17.4")}, []),
        ("image: ollama/ollama:0.5\n", {IMAGE: ("ollama/ollama:0.5", "ollama/ollama:0.5")}, []),
        ("resources: {limits: {memory: 4Gi}}\n", {MEMORY_LIMIT: (2**32, "4Gi")}, []),
        ("resources: {limits: {memory: null}}\n", {}, [MEMORY_LIMIT]),
        ("resources: {limits: null}\n", {}, [MEMORY_LIMIT]),
        ("resources: null\n", {}, [MEMORY_LIMIT]),
        ("resources: {limits: {nvidia.com/gpu: 1}}\n", {GPU_COUNT: (1, "1")}, []),
        ("resources: {requests: {memory: 1Gi}}\n", {}, []),
        ("resources: {}\nollama: {gpu: {enabled: false}}\n", {}, [GPU_COUNT]),
        ("resources: {}\nollama: {gpu: {number: 3}}\n", {GPU_COUNT: (3, "3")}, []),
        ("resources: {}\nollama: {gpu: {number: null}}\n", {GPU_COUNT: (1, "true")}, []),
    ],
)
@pytest.mark.parametrize(
    ("path", "is_own"),
    [
        ("values-prod.yaml", True), ("values.prod.yaml", False), ("prod/values.yaml", False),
        ("envs/prod/values.yml", False), ("ci/test-values.yaml", False),
    ],
)  # fmt: skip
def test_what_an_overlay_leaves_out_is_what_it_is_laid_over(
    path: str, is_own: bool, text: str, changed: Facts, gone: list[str]
) -> None:
    beside = {} if is_own else {"Chart_DOT_yaml": "name: x\n"}
    own = "ollama: {models: {run: [x]}}\n" if is_own and "ollama:" not in text else ""
    subject = only(values(own + text, path, values_DOT_yaml=BASE, **beside))
    expected = {key: fact for key, fact in {**_BASES, **changed}.items() if key not in gone}
    assert facts(subject) == expected
    assert (subject.address, subject.file.path, subject.unknown) == ("values", path, None)
    files = {key: setting.file.path for key, setting in subject.settings.items()}
    assert files == {key: path if key in changed and files[key] == path else "values.yaml" for key in expected}


@pytest.mark.parametrize(
    ("path", "text", "others"),
    [
        # An overlay that says nothing of the server: the base speaks for itself.
        ("values-prod.yaml", "ollama: {models: {pull: [y]}}\n", {"values_DOT_yaml": BASE}),
        ("values-prod.yaml", "replicas: 2\n", {"values_DOT_yaml": BASE, "Chart_DOT_yaml": "name: ollama\n"}),
        ("prod/values.yaml", "ingress: {}\n", {"values_DOT_yaml": BASE, "Chart_DOT_yaml": "name: x\n"}),
        # What may be the values of another chart.
        ("webui-values.yaml", "extraEnv: [{name: OLLAMA_A, value: b}]\n", {"values_DOT_yaml": BASE}),
        ("values-webui.yaml", "resources: {}\n", {"values_DOT_yaml": BASE}),
        ("webui-values.yaml", "resources: {}\n", {"values_DOT_yaml": BASE, "Chart_DOT_yaml": "name: x\n"}),
        ("prod/values.yaml", "resources: {}\n", {"values_DOT_yaml": BASE}),
        ("charts/a/values.yaml", "resources: {}\n", {"values_DOT_yaml": BASE, "Chart_DOT_yaml": "name: x\n"}),
        ("a/values.yaml", "resources: {}\n",
         {"values_DOT_yaml": BASE, "Chart_DOT_yaml": "name: x\n", "a__Chart_DOT_yaml": "name: a\n"}),
        ("values-prod.yaml", "image: {repository: open-webui}\nresources: {}\n",
         {"values_DOT_yaml": BASE, "Chart_DOT_yaml": "name: x\n"}),
    ],
)  # fmt: skip
def test_says_nothing_of_overlays_without_a_server_of_their_own(path: str, text: str, others: dict[str, str]) -> None:
    assert values(text, path, **others) == []


def test_an_overlay_over_values_of_another_program_is_read_as_it_is() -> None:
    text = "image: {repository: ollama/ollama, tag: 0.5.1}\n"
    base = "image: {repository: nginx, tag: 1}\nresources: {limits: {memory: 1Gi}}\n"
    subject = only(values(text, "values-prod.yaml", values_DOT_yaml=base))
    assert facts(subject) == {IMAGE: ("ollama/ollama:0.5.1", "0.5.1")}


def test_an_overlay_of_maps_is_merged_where_it_says_something() -> None:
    base = (
        "llm:\n  image: {repository: ollama/ollama, tag: 0.5.1}\n  env: {OLLAMA_A: a, OLLAMA_B: b}\n"
        "  resources: {limits: {memory: 1Gi}}\nother: {image: {repository: ollama/ollama, tag: 0.6.0}}\n"
    )
    text = "llm:\n  env: {OLLAMA_B: new}\n"
    subject = only(values(text, "values-prod.yaml", values_DOT_yaml=base, Chart_DOT_yaml="name: x\n"))
    assert facts(subject) == {
        IMAGE: ("ollama/ollama:0.5.1", "0.5.1"), "OLLAMA_A": ("a", "a"), "OLLAMA_B": ("new", "new"),
        MEMORY_LIMIT: (2**30, "1Gi"),
    }  # fmt: skip
    assert (subject.address, at(subject)) == ("values.llm", "llm")
    assert inserted(subject) == 'llm:\n  env: {OLLAMA_B: new, OLLAMA_NEW: "1"}\n'


def test_where_variables_stand_only_below_none_can_be_added_above() -> None:
    assert only(values(_CHART + "resources: {}\n", "values-a.yaml", values_DOT_yaml=BASE)).insertion is None


def test_overlays_may_lie_over_each_other_and_a_chart_within_the_chart() -> None:
    others = {
        "Chart_DOT_yaml": "name: x\ndependencies: [{name: ollama, alias: llm}]\n",
        "values_DOT_yaml": "llm: {resources: {limits: {memory: 8Gi}}, extraEnv: [{name: OLLAMA_A, value: a}]}\n",
        "prod__values_DOT_yaml": "llm: {image: {tag: 0.5.1}}\n",
    }
    subject = only(values("llm: {extraEnv: []}\n", "prod/values-eu.yaml", **others))
    assert facts(subject) == {IMAGE: ("ollama/ollama:0.5.1", "0.5.1"), MEMORY_LIMIT: (2**33, "8Gi")}
    assert subject.settings[IMAGE].file.path == "prod/values.yaml"


def test_below_values_that_cannot_be_read_all_is_unknown() -> None:
    subject = only(values(_CHART, "values-prod.yaml", values_DOT_yaml="a: [\n"))
    assert subject.unknown == Unknown("values.yaml, which it is laid over, cannot be read")
    assert only(values(_CHART, "values-prod.yaml", values_DOT_yaml="")).unknown is None
