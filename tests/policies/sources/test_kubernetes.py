import json

import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, Unknown
from ollama_policy.sources.kubernetes.manifests import Kubernetes
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read, refused_at

_IMAGE: Facts = {IMAGE: ("ollama/ollama", "ollama/ollama")}
_CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata:\n"


def indented(text: str, by: int) -> str:
    return "".join(" " * by + line + "\n" for line in text.splitlines())


def workload(*lines: str, kind: str = "Deployment", image: str = "ollama/ollama") -> str:
    container = "\n".join(["- name: llm", f"  image: {image}", *(f"  {line}" for line in lines)])
    head = f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: ai}}\n"
    if kind == "Pod":
        return f"{head}spec:\n  containers:\n{indented(container, 2)}"
    if kind == "CronJob":
        inner = indented(container, 12)
        return f"{head}spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          containers:\n{inner}"
    return f"{head}spec:\n  template:\n    spec:\n      containers:\n{indented(container, 6)}"


def variables(*lines: str) -> str:
    return workload("env:", *lines)


def config_map(name: str, *lines: str) -> str:
    return _CONFIG_MAP.replace("NAME", name) + "".join(f"  {line}\n" for line in lines)


@pytest.mark.parametrize(
    "kind", ["Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Rollout", "Service"]
)
def test_every_kind_of_workload(kind: str) -> None:
    subject = only(read(Kubernetes(), "a.yaml", workload(kind=kind)))
    assert (subject.address, at(subject), facts(subject)) == (f"{kind}/ai container llm", "llm", _IMAGE)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["- name: OLLAMA_A", '  value: "5m" # note'], {"OLLAMA_A": ("5m", '"5m"')}),
        (["- {name: OLLAMA_A, value: '1'}"], {"OLLAMA_A": ("1", "'1'")}),
        (["- name: OLLAMA_A", "  value: 1"], {"OLLAMA_A": ("1", "1")}),
        (["- name: OLLAMA_A", "  value: off"], {"OLLAMA_A": (UNKNOWN, "off")}),
        (["- name: OLLAMA_A"], {"OLLAMA_A": ("", "OLLAMA_A")}),
        (["- name: OLLAMA_A", "  value: $(B)m"], {"OLLAMA_A": (UNKNOWN, "$(B)m")}),
        (["- name: OLLAMA_A", '  value: "{{ .x }}"'], {"OLLAMA_A": (UNKNOWN, '"{{ .x }}"')}),
        (["- name: SECRET", "  value: x"], {}),
        (["- name: OLLAMA_A", "  value: '1'", "- name: OLLAMA_A", "  value: '2'"], {"OLLAMA_A": ("2", "'2'")}),
        (["- name: OLLAMA_A", "  valueFrom: {secretKeyRef: {name: s, key: k}}"],
         {"OLLAMA_A": (UNKNOWN, "{secretKeyRef: {name: s, key: k}}")}),
        (["- name: OLLAMA_A", "  valueFrom: {configMapKeyRef: {name: none, key: k}}"],
         {"OLLAMA_A": (UNKNOWN, "{configMapKeyRef: {name: none, key: k}}")}),
        (["- name: OLLAMA_A", "  valueFrom: {configMapKeyRef: {name: cm, key: k}}"], {"OLLAMA_A": ("7", "'7'")}),
        (["- {name: OLLAMA_A, value: '$(B)'}"], {"OLLAMA_A": (UNKNOWN, "'$(B)'")}),
        (["- {name: OLLAMA_A, value: '${b}'}"], {"OLLAMA_A": (UNKNOWN, "'${b}'")}),
    ],
)  # fmt: skip
def test_reads_variables(lines: list[str], expected: Facts) -> None:
    for text in (variables(*lines), variables(*lines).replace("\n", "\r\n")):
        subject = only(read(Kubernetes(), "a.yaml", text, cm_DOT_yaml=config_map("cm", "k: '7'")))
        assert facts(subject) == {**_IMAGE, **expected}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("{memory: 8Gi}", {MEMORY_LIMIT: (2**33, "8Gi")}),
        ("{memory: '1e9'}", {MEMORY_LIMIT: (10**9, "'1e9'")}),
        ("{memory: 8gb}", {MEMORY_LIMIT: (UNKNOWN, "8gb")}),
        ("{nvidia.com/gpu: 2}", {GPU_COUNT: (2, "2")}),
        ("{amd.com/gpu: '1'}", {GPU_COUNT: (1, "'1'")}),
        ("{cpu: 2}", {}),
    ],
)
def test_reads_limits(limits: str, expected: Facts) -> None:
    text = workload("resources:", f"  limits: {limits}", "  requests: {memory: 1Gi}")
    assert facts(only(read(Kubernetes(), "a.yaml", text))) == {**_IMAGE, **expected}


def test_a_config_map_of_the_tree_gives_its_variables_at_their_place() -> None:
    text = workload("envFrom: [{configMapRef: {name: cm}}]", "env: [{name: OLLAMA_B, value: c}]")
    data = config_map("cm", "OLLAMA_A: 24h", "OLLAMA_B: b", "OTHER: x")
    for name in ("cm_DOT_yaml", "other__cm_DOT_yml"):
        subject = only(read(Kubernetes(), "a.yaml", text, **{name: data}))
        assert facts(subject) == {**_IMAGE, "OLLAMA_A": ("24h", "24h"), "OLLAMA_B": ("c", "c")}
        setting = subject.settings["OLLAMA_A"]
        assert (setting.file.path != "a.yaml", setting.origin) == (True, "the ConfigMap cm")
        assert (subject.unknown, subject.repeated) == (None, [])
    same = only(read(Kubernetes(), "a.yaml", f"{text}---\n{data}"))
    assert same.settings["OLLAMA_A"].file.path == "a.yaml"


def test_kustomize_generates_config_maps() -> None:
    text = workload("envFrom: [{configMapRef: {name: cm}}]")
    generator = "configMapGenerator:\n- name: cm\n  literals: [OLLAMA_A=1]\n  envs: [a.env]\n"
    files = {"kustomization_DOT_yaml": generator, "a_DOT_env": "OLLAMA_B=2\n"}
    subject = only(read(Kubernetes(), "a.yaml", text, **files))
    assert facts(subject) == {**_IMAGE, "OLLAMA_A": ("1", "1"), "OLLAMA_B": ("2", "2")}


@pytest.mark.parametrize(
    ("source", "others", "reason"),
    [
        ("configMapRef: {name: cm}", {}, "the ConfigMap cm is not in the tree"),
        ("configMapRef: {name: cm}", {"a": "cm", "b": "cm"}, "there are several ConfigMaps cm"),
        ("secretRef: {name: s}", {}, "the Secret s may set more"),
    ],
)
def test_what_is_not_seen_leaves_the_rest_unknown(source: str, others: dict[str, str], reason: str) -> None:
    text = workload(f"envFrom: [{{{source}}}]")
    files = {f"{folder}__cm_DOT_yaml": config_map(name, "OLLAMA_A: a") for folder, name in others.items()}
    assert only(read(Kubernetes(), "a.yaml", text, **files)).unknown == Unknown(reason)


@pytest.mark.parametrize(
    "text",
    [
        workload(image="open-webui").replace("llm", "ollama"),
        workload('command: ["ollama", "pull", "x"]'),
        workload("command: [sh, -c, 'ollama serve & ollama pull x']", kind="Job"),
        workload("command: [sh, -c, 'ollama serve & ollama pull x']").replace("containers:", "initContainers:"),
        "apiVersion: v1\nkind: Rule\nspec: {message: OLLAMA_KEEP_ALIVE is wrong}\n",
        "apiVersion: v1\nkind: Pod\nspec: [a]\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [a, {image: [ollama/ollama]}]}\n",
        "apiVersion: v1\nkind: Deployment\nspec: {template: {spec: {containers: [{name: a, env: []}]}}}\n",
    ],
)
def test_says_nothing_of_others(text: str) -> None:
    assert read(Kubernetes(), "a.yaml", text) == []


def test_lists_documents_and_json() -> None:
    items = "apiVersion: v1\nkind: List\nitems:\n- " + indented(workload(), 2).strip() + "\n"
    assert len(read(Kubernetes(), "a.yaml", f"{items}---\n{workload(kind='Pod')}")) == 2
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "ollama/ollama", "env": [
        {"name": "OLLAMA_A", "value": "1"}]}]}}  # fmt: skip
    subject = only(read(Kubernetes(), "a.json", json.dumps(pod, indent=2)))
    assert facts(subject) == {IMAGE: ("ollama/ollama", '"ollama/ollama"'), "OLLAMA_A": ("1", '"1"')}
    assert json.loads(inserted(subject))["spec"]["containers"][0]["env"][1] == {"name": "OLLAMA_NEW", "value": "1"}


def test_a_patch_is_read_over_what_it_patches() -> None:
    patch = variables("- name: OLLAMA_A", "  value: '1'").replace("        image: ollama/ollama\n", "")
    below = workload("resources: {limits: {memory: 1Gi}}")
    subject = only(read(Kubernetes(), "o/patch.yaml", patch, base__a_DOT_yaml=below))
    assert facts(subject) == {**_IMAGE, MEMORY_LIMIT: (2**30, "1Gi"), "OLLAMA_A": ("1", "'1'")}
    assert subject.settings[IMAGE].file.path == "base/a.yaml"
    assert read(Kubernetes(), "o/patch.yaml", patch) == []


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (["- name: OLLAMA_A", "  value: '1' # note", "# more"],
         '# note\n        - name: OLLAMA_NEW\n          value: "1"\n        # more'),
        (["-   name: OLLAMA_A", "    value: '1'"], '\n        -   name: OLLAMA_NEW\n            value: "1"\n'),
        (["- {name: OLLAMA_A, value: '1'}"], '\n        - {name: OLLAMA_NEW, value: "1"}\n'),
        (["- name: OLLAMA_A", "  valueFrom:", "    fieldRef: {fieldPath: x}"],
         '{fieldPath: x}\n        - name: OLLAMA_NEW\n          value: "1"\n'),
    ],
)  # fmt: skip
def test_one_more_variable_goes_where_the_others_are(lines: list[str], end: str) -> None:
    for ending in ("\n", "\r\n"):
        text = variables(*lines).replace("\n", ending)
        after = inserted(only(read(Kubernetes(), "a.yaml", text)))
        assert end.replace("\n", ending) in after
        assert only(read(Kubernetes(), "a.yaml", after)).value("OLLAMA_NEW") == "1"


TEMPLATE = """{{- if .Values.enabled }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "name" . }}
  labels: {{- include "labels" . | nindent 4 }}
spec:
  template:
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "ollama/ollama:{{ .Values.tag | default .Chart.AppVersion }}"
          env:
            - name: OLLAMA_A
              value: {{ .Values.a | quote }}
            - name: OLLAMA_B
              value: "no"
            {{- if .Values.c }}
            - name: OLLAMA_C
              value: "1"
            {{- else }}
            - name: OLLAMA_C
              value: "2"
            {{- end }}
            {{- with .Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
{{- end }}
"""


def test_a_template_is_read_without_its_actions() -> None:
    subject = only(read(Kubernetes(), "templates/a.yaml", TEMPLATE))
    assert facts(subject) == {
        IMAGE: (UNKNOWN, '"ollama/ollama:{{ .Values.tag | default .Chart.AppVersion }}"'),
        "OLLAMA_A": (UNKNOWN, "{{ .Values.a | quote }}"),
        "OLLAMA_B": ("no", '"no"'),
        "OLLAMA_C": (UNKNOWN, '"2"'),
    }
    assert subject.unknown == Unknown("a template decides what is there")
    assert subject.insertion is None
    assert subject.address == "Deployment container"


@pytest.mark.parametrize("image", ["{{ .Values.image }}", '"{{ .Values.repository }}:{{ .Values.tag }}"'])
def test_a_template_whose_image_is_not_known_says_nothing(image: str) -> None:
    assert read(Kubernetes(), "templates/a.yaml", workload(image=image)) == []


def test_a_file_that_does_not_parse_is_refused_at_its_place() -> None:
    text = workload() + " x: y\n"
    assert refused_at(Kubernetes(), "a.yaml", text) == text.index("x: y")
