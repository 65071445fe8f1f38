import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, Subject, Unknown
from ollama_policy.sources.ansible.tasks import Ansible
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read

_TASKS = "roles/llm/tasks/main.yml"
_DEFAULTS = "roles__llm__defaults__main_DOT_yml"
_IMAGE: Facts = {IMAGE: ("ollama/ollama", "ollama/ollama")}


def task(*lines: str, module: str = "community.docker.docker_container") -> str:
    return "\n".join(["- name: run", f"  {module}:", *(f"    {line}" for line in lines)]) + "\n"


def container(*lines: str) -> str:
    return task("name: llm", "image: ollama/ollama", *lines)


def tasks(text: str, defaults: str = "", **others: str) -> list[Subject]:
    return read(Ansible(), _TASKS, text, **{_DEFAULTS: defaults, **others})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["env:", "  OLLAMA_A: '5m' # note"], {"OLLAMA_A": ("5m", "'5m'")}),
        (["env: {OLLAMA_A: 5, SECRET: x}"], {"OLLAMA_A": ("5", "5")}),
        (["env: {OLLAMA_A: yes}"], {"OLLAMA_A": (UNKNOWN, "yes")}),
        (["env: {OLLAMA_A: !vault x}"], {"OLLAMA_A": (UNKNOWN, "x")}),
        (["env: {OLLAMA_A: '{{ a }}'}"], {"OLLAMA_A": ("24h", "24h")}),
        (["env: {OLLAMA_A: '{{ a | string }}'}"], {"OLLAMA_A": ("24h", "24h")}),
        (["env: {OLLAMA_A: '{{ a }}m'}"], {"OLLAMA_A": ("24hm", "'{{ a }}m'")}),
        (["env: {OLLAMA_A: '{{ map.b }}'}"], {"OLLAMA_A": ("2", "2")}),
        (["env: {OLLAMA_A: '{{ other }}'}"], {"OLLAMA_A": (UNKNOWN, "'{{ other }}'")}),
        (["env: {OLLAMA_A: \"{{ other | default('7m') }}\"}"], {"OLLAMA_A": ("7m", "\"{{ other | default('7m') }}\"")}),
        (["env: {OLLAMA_A: '{{ a | upper }}'}"], {"OLLAMA_A": (UNKNOWN, "'{{ a | upper }}'")}),
        (["env: {OLLAMA_A: '{{ loop }}'}"], {"OLLAMA_A": (UNKNOWN, "'{{ loop }}'")}),
        (["env: '{{ environment }}'"], {"OLLAMA_A": ("24h", "24h"), "OLLAMA_B": ("1", "'1'")}),
        (["memory: 8g"], {MEMORY_LIMIT: (2**33, "8g")}),
        (["memory: '{{ memory }}'"], {MEMORY_LIMIT: (2**30, "1g")}),
        (["memory: '0'"], {}),
        (["device_requests: [{driver: nvidia, count: 2}]"], {GPU_COUNT: (2, "2")}),
        (["device_requests: [{driver: nvidia, count: -1}]"], {GPU_COUNT: (UNKNOWN, "-1")}),
        (["device_requests: [{device_ids: ['0']}]"], {GPU_COUNT: (1, "['0']")}),
    ],
)
def test_reads_containers(lines: list[str], expected: Facts) -> None:
    defaults = (
        "a: 24h\nloop: '{{ loop }}'\nmap: {b: 2}\nmemory: 1g\nenvironment: {OLLAMA_A: '{{ a }}', OLLAMA_B: '1'}\n"
    )
    for text in (container(*lines), container(*lines).replace("\n", "\r\n")):
        subject = only(tasks(text, defaults))
        assert facts(subject) == {**_IMAGE, **expected}
        assert (subject.address, at(subject)) == ("task run", "community.docker.docker_container")


def test_where_a_value_is_from_is_said() -> None:
    setting = only(tasks(container("env: {OLLAMA_A: '{{ a }}'}"), "a: 24h\n")).settings["OLLAMA_A"]
    assert setting.file.path == "roles/llm/defaults/main.yml"
    assert (setting.origin, setting.is_literal) == ("a in roles/llm/defaults/main.yml", False)


@pytest.mark.parametrize(
    "text",
    [
        task("image: open-webui", "env: {OLLAMA_BASE_URL: x}"),
        container("command: pull x"),
        container("state: absent"),
        task("content: x", "dest: /etc/motd", module="copy"),
        "- hosts: all\n  roles: [llm]\n  vars: {copy: 1}\n",
        "- docker_container: name=x image=ollama/ollama\n",
    ],
)
def test_says_nothing_of_others(text: str) -> None:
    assert tasks(text) == []


def test_an_image_with_a_version_from_the_defaults() -> None:
    text = task("image: 'ollama/ollama:{{ version }}'")
    assert facts(only(tasks(text, "version: 0.17.4\n"))) == {
        IMAGE: ("ollama/ollama:0.17.4", "'ollama/ollama:{{ version }}'")
    }
    assert facts(only(tasks(text))) == {IMAGE: (UNKNOWN, "'ollama/ollama:{{ version }}'")}
    assert facts(only(tasks(task("image: '{{ image }}'"), "image: ollama/ollama\n"))) == {
        IMAGE: ("ollama/ollama", "ollama/ollama")
    }


UNIT = ("[Service]", "ExecStart=/usr/bin/ollama serve", 'Environment="OLLAMA_A={{ a }}" OLLAMA_B=1', "MemoryMax=1G")


def test_a_unit_inside_a_task_is_read_at_its_place() -> None:
    lines = ["dest: /etc/systemd/system/ollama.service", "content: |", *(f"  {line}" for line in UNIT)]
    text = task(*lines, module="ansible.builtin.copy")
    for form in (text, text.replace("\n", "\r\n")):
        subject = only(tasks(form, "a: 5m\n"))
        assert facts(subject) == {"OLLAMA_A": ("5m", "5m"), "OLLAMA_B": ("1", "1"), MEMORY_LIMIT: (2**30, "1G")}
        assert (at(subject), subject.settings["OLLAMA_B"].file.path) == ("[Service]", _TASKS)
    assert facts(only(tasks(text)))["OLLAMA_A"] == (UNKNOWN, "{{ a }}")


def test_what_tasks_hand_to_other_tools() -> None:
    compose = task(
        "definition: {services: {llm: {image: ollama/ollama, environment: {OLLAMA_A: 1}}}}", module="docker_compose"
    )
    pod = "{kind: Pod, spec: {containers: [{image: ollama/ollama, env: [{name: OLLAMA_A, value: '{{ a }}'}]}]}}"
    k8s = task(f"definition: {pod}", module="kubernetes.core.k8s")
    helm = task("chart_ref: otwld/ollama", "values: {extraEnv: [{name: OLLAMA_A, value: '1'}]}", module="helm")
    copied = task("dest: /opt/compose.yml", "content: |", "  services:", "    llm:", "      image: ollama/ollama",
                  "      environment: [OLLAMA_A=1]", module="copy")  # fmt: skip
    for text in (compose, k8s, helm, copied):
        assert only(tasks(text, "a: 1\n")).value("OLLAMA_A") == "1"


def test_maps_of_a_servers_variables_in_defaults() -> None:
    text = "---\nllm_environment:\n  OLLAMA_KEEP_ALIVE: '-1'\n  OTHER: x\nclient_env: {OLLAMA_HOST: x}\n"
    subject = only(read(Ansible(), "roles/llm/defaults/main.yml", text))
    assert (subject.address, facts(subject)) == ("llm_environment", {"OLLAMA_KEEP_ALIVE": ("-1", "'-1'")})
    assert subject.unknown == Unknown("what is started with llm_environment may set more")
    assert '  OTHER: x\n  OLLAMA_NEW: "1"\n' in inserted(subject)


def test_templates_of_yaml_files() -> None:
    text = """services:
  llm:
    image: ollama/ollama:{{ version }}
    environment:
{% for name in names %}
      - {{ name }}=1
{% endfor %}
      - OLLAMA_A={{ a }}
"""
    subject = only(
        read(Ansible(), "roles/llm/templates/docker-compose.yml.j2", text, **{_DEFAULTS: "version: 0.5.1\na: 2\n"})
    )
    assert facts(subject) == {
        IMAGE: ("ollama/ollama:0.5.1", "ollama/ollama:{{ version }}"), "OLLAMA_A": ("2", "2"),
    }  # fmt: skip
    assert subject.unknown == Unknown("a template decides what is there")
    assert subject.insertion is None
