"""What a variable is, where several places of a tree may say so."""

import pytest

from ollama_policy.model.settings import Setting, SourceFile, Unknown
from ollama_policy.sources.ansible.definitions import Definitions
from ollama_policy.sources.ansible.tasks import Ansible
from ollama_policy.sources.ansible.variables import Found, Scope
from tests.policies.sources.reading import only
from tests.policies.sources.trees import Files, file

DEFAULTS, VARS = "roles/llm/defaults/main.yml", "roles/llm/vars/main.yml"
TASK = "- docker_container:\n    image: ollama/ollama\n    env: {OLLAMA_A: '{{ a }}'}\n"
PLAY = "- hosts: all\n  vars: {a: 1h}\n  tasks:\n"


def setting(path: str, text: str, files: dict[str, str]) -> Setting:
    read = [file(name, content) for name, content in {**files, path: text}.items()]
    return only(list(Ansible().read(read[-1], Files(*read)))).settings["OLLAMA_A"]


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({DEFAULTS: "a: 1h"}, DEFAULTS),
        ({"roles/llm/defaults/main/llm.yaml": "a: 1h"}, "roles/llm/defaults/main/llm.yaml"),
        ({DEFAULTS: "a: 1h", "roles/other/defaults/main.yml": "a: 2h"}, DEFAULTS),
        ({VARS: "a: 1h"}, VARS),
        ({"group_vars/all.yml": "a: 1h"}, "group_vars/all.yml"),
        ({"host_vars/one.yml": "a: 1h"}, "host_vars/one.yml"),
        ({"inventory/group_vars/llm/main.yml": "a: 1h"}, "inventory/group_vars/llm/main.yml"),
        ({"inventory/hosts.yml": "all: {hosts: {one: {a: 1h}}}"}, "inventory/hosts.yml"),
        ({DEFAULTS: "a: 1h", "group_vars/all.yml": "a: 1h"}, DEFAULTS),
        ({DEFAULTS: "a: 1h", "molecule/default/converge.yml": "- hosts: all\n  vars: {a: 2h}"}, DEFAULTS),
        ({"site.yml": "- hosts: all\n  roles: [{role: llm, a: 1h}]"}, "site.yml"),
        ({"site.yml": "- hosts: all\n  roles: [{role: llm, vars: {a: 1h}}]"}, "site.yml"),
        ({DEFAULTS: "a: 1h", "values.yaml": "a: 2h"}, DEFAULTS),
        ({DEFAULTS: "a: 1h", "roles/llm/tasks/x.yml": "- file: {a: 2h}"}, DEFAULTS),
    ],
)
def test_where_all_agree(files: dict[str, str], place: str) -> None:
    found = setting("roles/llm/tasks/sub/run.yml", TASK, files)
    assert (found.value, found.written, found.file.path) == ("1h", "1h", place)
    assert (found.origin, found.is_literal) == (f"a in {place}", False)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("roles/llm/vars/Debian.yml", "a: 2h"),
        ("roles/other/vars/main.yml", "a: 2h"),
        ("group_vars/all.yml", "a: 2h"),
        ("group_vars/gpu/main.yaml", "a: 2h"),
        ("inventories/one/host_vars/one.yml", "a: 2h"),
        ("inventory.yml", "all: {vars: {a: 2h}}"),
        ("site.yml", "- hosts: all\n  vars: {a: 2h}\n  roles: [llm]"),
        ("site.yml", "- hosts: all\n  roles: [{role: llm, a: 2h}]"),
        ("roles/other/meta/main.yml", "dependencies: [{role: llm, a: 2h}]"),
    ],
)
def test_where_another_says_otherwise(path: str, text: str) -> None:
    found = setting("roles/llm/tasks/main.yml", TASK, {DEFAULTS: "a: 1h", path: text})
    assert found.value == Unknown(f"a is set in {path} too")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("hosts", "[all:vars]\na = 2h"),
        ("hosts", "one ansible_host=x a=2h"),
        ("inventory/hosts.ini", "[all:vars]\na=2h"),
        ("roles/llm/tasks/x.yml", "- set_fact: {a: 1h}"),
        ("roles/llm/tasks/x.yml", "- command: x\n  register: a"),
        ("site.yml", "- hosts: all\n  vars_prompt: [{name: a}]"),
    ],
)
def test_where_only_a_run_knows(path: str, text: str) -> None:
    found = setting("roles/llm/tasks/main.yml", TASK, {DEFAULTS: "a: 1h", path: text})
    assert found.value == Unknown(f"a is set by a run: {path}")


@pytest.mark.parametrize(
    ("more", "files", "value"),
    [
        ("", {"group_vars/all.yml": "a: 2h", "roles/llm/defaults/main.yml": "a: 3h"}, "1h"),
        ("  vars_files: [config/llm.yml]\n", {"config/llm.yml": "b: 2h"}, "1h"),
        ("  vars_files: [config/llm.yml]\n", {"config/llm.yml": "a: 2h"}, Unknown("a is set in config/llm.yml too")),
        ("  vars_files: [[x.yml, y.yml]]\n", {"y.yml": "a: 2h"}, Unknown("x.yml, which may set a, is not in the tree")),
        ("  vars_files: ['{{ os }}.yml']\n", {"debian.yml": "a: 2h"}, Unknown("a is set by a run: debian.yml")),
        ("  vars_files: [secret.yml]\n", {}, Unknown("secret.yml, which may set a, is not in the tree")),
        ("  vars_files: ['/x/{{ y }}.enc']\n", {}, Unknown("/x/{{ y }}.enc, which may set a, is not in the tree")),
        ("  vars_files: ['{{ z }}/llm.yml']\n", {"b/llm.yml": "a: 2h"}, Unknown("a is set in b/llm.yml too")),
        ("  pre_tasks: [{include_vars: x.yml}]\n", {"vars/x.yml": "a: 2h"}, Unknown("a is set in vars/x.yml too")),
        ("  pre_tasks: [{set_fact: {a: 2h}}]\n", {}, Unknown("a is set by a run: play.yml")),
    ],
)  # fmt: skip
def test_a_plays_own(more: str, files: dict[str, str], value: object) -> None:
    tasks = TASK.replace("\n", "\n  ").rstrip(" ")
    assert setting("play.yml", PLAY.replace("  tasks", f"{more}  tasks") + f"  {tasks}", files).value == value


def test_variables_of_files_that_a_play_names() -> None:
    play = "- hosts: all\n  vars_files: [config/llm.yml]\n  tasks:\n  " + TASK.replace("\n", "\n  ")
    found = setting("play.yml", play.rstrip(" "), {"config/llm.yml": "a: 1h", "config/other.yml": "a: 2h"})
    assert (found.value, found.file.path) == ("1h", "config/llm.yml")


def scope(text: str, **own: str) -> Scope:
    files = [file("roles/llm/defaults/main.yml", text), file("roles/llm/tasks/main.yml", "")]
    return Scope(Definitions(files[1], Files(*files)))


def resolved(text: str, defaults: str) -> object:
    empty = Setting("A", Unknown(""), (0, 0), SourceFile("x", b""), is_literal=False)  # type: ignore[arg-type]
    return scope(defaults).resolved(empty, text).value


@pytest.mark.parametrize(
    ("text", "defaults", "value"),
    [
        ("{{ a | default('7m', true) }}", "a: ''", "7m"),
        ("{{ a | default('7m', True) }}", "a: 0", "7m"),
        ("{{ a | default('7m', true) }}", "a: 1h", "1h"),
        ("{{ a | default('7m') }}", "a: ''", ""),
        ("{{ a | default('7m') }}", "b: 1", "7m"),
        ("{{ a }}", "a: null", Unknown("a in roles/llm/defaults/main.yml is not text")),
        ("{{ a }}", "a: [1]", Unknown("a in roles/llm/defaults/main.yml is not text")),
        ("{{ a }}", "a: 0x10", Unknown("0x10 is not text")),
        ("{{ a }}", "a: 1_000", Unknown("1_000 is not text")),
        ("{{ a }}", "a: 12:30", Unknown("12:30 is not text")),
        ("{{ a }}", "a: 0.10", Unknown("0.10 is not text")),
        ("{{ a }}", "a: '0.10'", "0.10"),
        ("{{ a }}", "a: 1.5", "1.5"),
        ("{{ a.b }}", "a: {b: 1}", "1"),
        ("{{ a.c }}", "a: {b: 1}", Unknown("a.c is set elsewhere")),
        ("x{{ a }}y{{ a }}", "a: 1", "x1y1"),
        ("{{ a }}" * 9, "a: 1", Unknown("{{ a }}" * 9 + " is filled in by a template")),
    ],
)
def test_expressions(text: str, defaults: str, value: object) -> None:
    assert resolved(text, defaults) == value


def test_hostile_trees() -> None:
    deep = "x: " + "[" * 10_000
    assert resolved("{{ a }}", "a: '{{ b }}{{ b }}'\nb: '{{ a }}{{ a }}'\n") == Unknown(
        "{{ b }}{{ b }} is filled in by a template"
    )
    assert resolved("{{ x }}", deep) == Unknown("x is set elsewhere")
    nested = "x: " + "[" * 300 + "]" * 300
    assert resolved("{{ x }}", nested) == Unknown("x is nested too deeply")
    assert isinstance(scope("x: &a [1]\ny: *a\n").find("y"), Found)
