"""What tasks write into units, drop-ins and env files of Ollama, and where it stands."""

import pytest

from ollama_policy.model.settings import MEMORY_LIMIT, Subject, Unknown
from ollama_policy.sources.ansible.tasks import Ansible
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read
from tests.policies.sources.test_ansible import task, tasks

UNIT = "/etc/systemd/system/ollama.service"
DROP_IN = f"{UNIT}.d/override.conf"
ENV = "/etc/default/ollama"


def written(module: str, *lines: str, path: str = DROP_IN) -> str:
    return task(f"path: {path}", *lines, module=module)


def line(value: str, path: str = DROP_IN) -> str:
    return written("ansible.builtin.lineinfile", f"line: {value}", path=path)


def entry(value: str, *lines: str, section: str = "Service", option: str = "Environment") -> str:
    return written("community.general.ini_file", f"section: {section}", f"option: {option}", f"value: {value}", *lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (line("Environment=OLLAMA_A=5m"), {"OLLAMA_A": ("5m", "5m")}),
        (line("""'Environment="OLLAMA_A=5m"'"""), {"OLLAMA_A": ("5m", "5m")}),
        (line("""'Environment="OLLAMA_A=5m"'""", UNIT), {"OLLAMA_A": ("5m", "5m")}),
        (line("Environment=OLLAMA_A=5m", "/etc/systemd/system/ollama@.service"), {"OLLAMA_A": ("5m", "5m")}),
        (line('"Environment=\\"OLLAMA_A=5m\\""'), {"OLLAMA_A": ("5m", "5m")}),
        (line('"Environment=OLLAMA_A=\\"5m\\" OLLAMA_B=1"'), {"OLLAMA_A": ("5m", '\\"5m\\"'), "OLLAMA_B": ("1", "1")}),
        (line("'Environment=''OLLAMA_A=5m'''"), {"OLLAMA_A": ("5m", "5m")}),
        (line("MemoryMax=2G"), {MEMORY_LIMIT: (2**31, "2G")}),
        (line("Environment=OLLAMA_A={{ a }}"), {"OLLAMA_A": ("24h", "24h")}),
        (line('"Environment=\\"OLLAMA_A={{ a }}\\""'), {"OLLAMA_A": ("24h", "24h")}),
        (line("Environment=OLLAMA_A={{ other }}"), {"OLLAMA_A": (UNKNOWN, "{{ other }}")}),
        (line("'{{ whole }}'"), {"OLLAMA_A": ("7m", "7m")}),
        (line("OLLAMA_A=5m", ENV), {"OLLAMA_A": ("5m", "5m")}),
        (line('"OLLAMA_A=\\"5m\\""', ENV), {"OLLAMA_A": ("5m", '\\"5m\\"')}),
        (line("OLLAMA_A={{ a }}", "/etc/ollama/server.env"), {"OLLAMA_A": ("24h", "24h")}),
        (line("OLLAMA_KEEP_ALIVE=5m", "/opt/ollama.env"), {"OLLAMA_KEEP_ALIVE": ("5m", "5m")}),
        (line("Environment=OLLAMA_A=1", "'{{ unit }}'"), {"OLLAMA_A": ("1", "1")}),
        (entry("OLLAMA_A=5m"), {"OLLAMA_A": ("5m", "5m")}),
        (entry("""'"OLLAMA_A=5m"'"""), {"OLLAMA_A": ("5m", "5m")}),
        (entry('"\\"OLLAMA_A=5m\\""'), {"OLLAMA_A": ("5m", "5m")}),
        (entry("OLLAMA_A={{ a }}", "no_extra_spaces: true"), {"OLLAMA_A": ("24h", "24h")}),
        (entry("8G", option="MemoryMax"), {MEMORY_LIMIT: (2**33, "8G")}),
        (
            written("ini_file", "section: Service", "option: Environment", "values: [OLLAMA_A=1]"),
            {"OLLAMA_A": ("1", "1")},
        ),
        (
            written("ini_file", "section: null", "option: OLLAMA_A", "value: '5m'", path=ENV),
            {"OLLAMA_A": ("5m", "5m")},
        ),
        (written("blockinfile", "block: Environment=OLLAMA_A=5m"), {"OLLAMA_A": ("5m", "5m")}),
        (
            written("blockinfile", "block: |", "  OLLAMA_A=5m", "  OLLAMA_B='1'", path=ENV),
            {"OLLAMA_A": ("5m", "5m"), "OLLAMA_B": ("1", "'1'")},
        ),
        (
            written("copy", 'content: "[Service]\\nEnvironment=OLLAMA_A=5m\\nMemoryMax=1G\\n"'),
            {"OLLAMA_A": ("5m", "5m"), MEMORY_LIMIT: (2**30, "1G")},
        ),
        (
            written("copy", 'content: "OLLAMA_A=5m\\nOLLAMA_B=1\\n"', path=ENV),
            {"OLLAMA_A": ("5m", "5m"), "OLLAMA_B": ("1", "1")},
        ),
    ],
)
def test_what_is_written(text: str, expected: Facts) -> None:
    defaults = f"a: 24h\nwhole: Environment=OLLAMA_A=7m\nunit: {DROP_IN}\n"
    for form in (text, text.replace("\n", "\r\n")):
        subject = only(tasks(form, defaults))
        assert facts(subject) == expected
        assert subject.address == "task run"
        assert subject.is_open


def test_a_part_stands_at_its_module_and_is_a_literal() -> None:
    subject = only(tasks(line("'Environment=OLLAMA_A=5m'")))
    assert (at(subject), subject.insertion) == ("ansible.builtin.lineinfile", None)
    assert subject.settings["OLLAMA_A"].is_literal
    assert not only(tasks(line("'Environment=OLLAMA_A={{ a }}'"), "a: 1\n")).settings["OLLAMA_A"].is_literal


@pytest.mark.parametrize(
    "text",
    [
        line("User=ollama"),
        line("Environment=OLLAMA_A=1", "/etc/systemd/system/ollama-webui.service"),
        line("Environment=OLLAMA_BASE_URL=x", "/etc/systemd/system/open-webui.service"),
        line("OLLAMA_BASE_URL=x", "/etc/default/open-webui"),
        line("OLLAMA_KEEP_ALIVE=5m", "/etc/environment"),
        line("OLLAMA_API_BASE_URL=x", "/opt/ollama.env"),
        entry("x", section="Unit", option="Description"),
        written("lineinfile", "line: Environment=OLLAMA_A=1", "state: absent"),
        written("lineinfile", "regexp: OLLAMA"),
        written("copy", "content: Environment=OLLAMA_A=1", path="/etc/motd"),
        written("copy", "content: {a: OLLAMA_A}"),
    ],
)
def test_says_nothing_of_others(text: str) -> None:
    assert tasks(text) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line("'{{ nowhere }}'"), "{{ nowhere }} is filled in by a template"),
        (line("'{{ item }}'"), "{{ item }} is filled in by a template"),
        (line("'{{ nowhere }}'", ENV), "{{ nowhere }} is filled in by a template"),
        (written("copy", "content: '{{ lookup(1) }}'"), "{{ lookup(1) }} is filled in by a template"),
        (line("!vault x"), "x is not plain text"),
        (
            written("lineinfile", r"line: 'Environment=OLLAMA_A=\1'", "backrefs: true"),
            r"a part of Environment=OLLAMA_A=\1 is what its regexp finds",
        ),
    ],
)  # fmt: skip
def test_what_is_not_known_of_ollamas_files_is_said(text: str, reason: str) -> None:
    subject = only(tasks(text))
    assert (facts(subject), subject.unknown, subject.is_open) == ({}, Unknown(reason), True)


def loop(items: str, value: str, *more: str) -> list[Subject]:
    text = line(value) + "".join(f"  {each}\n" for each in (f"loop: {items}", *more))
    return tasks(text, "list: [OLLAMA_A=1, OLLAMA_B=2]\n")


def test_each_item_of_a_loop_is_read_where_it_stands() -> None:
    for subject in loop("['Environment=OLLAMA_A=1', 'Environment=OLLAMA_B=2']", "'{{ item }}'"):
        ((_, (value, place)),) = facts(subject).items()
        assert value == place
    one, two = loop(
        "[{name: OLLAMA_A, value: 5m}, {name: OLLAMA_B, value: 1}]", "Environment={{ item.name }}={{ item.value }}"
    )
    assert (facts(one), facts(two)) == ({"OLLAMA_A": ("5m", "5m")}, {"OLLAMA_B": ("1", "1")})
    one, _ = loop("[{value: 5}, {value: 1}]", "Environment=OLLAMA_A={{ it.value }}m", "loop_control: {loop_var: it}")
    assert facts(one) == {"OLLAMA_A": ("5m", "{{ it.value }}m")}
    assert not one.settings["OLLAMA_A"].is_literal


def test_items_of_a_variable_stand_for_the_expression() -> None:
    one, two = loop("'{{ list }}'", place := "Environment={{ item }}")
    assert (facts(one), facts(two)) == ({"OLLAMA_A": ("1", place)}, {"OLLAMA_B": ("2", place)})


def test_an_env_file_that_a_unit_names() -> None:
    unit = "[Service]\nExecStart=/usr/bin/ollama serve\nEnvironmentFile=-/etc/llm/server\n"
    text = line("OLLAMA_A=5m", "/etc/llm/server")
    assert tasks(text) == []
    assert facts(only(tasks(text, roles__llm__templates__ollama_DOT_service_DOT_j2=unit))) == {"OLLAMA_A": ("5m", "5m")}
    other = unit.replace("ollama serve", "open-webui")
    assert tasks(text, roles__llm__templates__ollama_DOT_service_DOT_j2=other) == []


def test_more_can_be_added_to_a_block() -> None:
    block = written("blockinfile", "block: |", "  Environment=OLLAMA_A=1", "backup: true")
    assert '      Environment=OLLAMA_A=1\n      Environment="OLLAMA_NEW=1"\n    backup' in inserted(only(tasks(block)))
    env = written("blockinfile", "block: |", "  OLLAMA_A=1", "backup: true", path=ENV)
    assert "      OLLAMA_A=1\n      OLLAMA_NEW=1\n    backup" in inserted(only(tasks(env)))


def test_a_unit_in_a_variable() -> None:
    text = written("copy", "content: '{{ unit }}'")
    subject = only(tasks(text, "unit: |\n  [Service]\n  Environment=OLLAMA_A=5m\n"))
    assert (facts(subject), at(subject)) == ({"OLLAMA_A": ("5m", "5m")}, "[Service]")
    assert subject.settings["OLLAMA_A"].file.path == "roles/llm/defaults/main.yml"


def test_reads_as_a_play_too() -> None:
    play = "- hosts: all\n  vars: {a: 1h}\n  tasks:\n  - lineinfile:\n"
    text = f"{play}      dest: {DROP_IN}\n      line: 'Environment=OLLAMA_A={{{{ a }}}}'\n"
    assert facts(only(read(Ansible(), "play.yml", text))) == {"OLLAMA_A": ("1h", "1h")}
