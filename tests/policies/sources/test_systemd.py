import re

import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, SourceFile
from ollama_policy.sources.systemd import Systemd, read_unit
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read, refused_at

_SERVES = "[Service]\nExecStart=/usr/local/bin/ollama serve\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('Environment="A=b c" B=2', {"A": ("b c", "b c"), "B": ("2", "2")}),
        ("Environment=A=\"b c\" 'B=2'", {"A": ("b c", '"b c"'), "B": ("2", "2")}),
        ("Environment=A=b\\x", {"A": ("b\\x", "b\\x")}),
        ('Environment="A=\\"b\\"" B="\\t"', {"A": ('"b"', '\\"b\\"'), "B": ("\t", '"\\t"')}),
        ("Environment=A=1 \\\n# note\n; note\n  B=2", {"A": ("1", "1"), "B": ("2", "2")}),
        ("Environment=A=1\nEnvironment=A=2", {"A": ("2", "2")}),
        ("Environment=A=1\nEnvironment=\nEnvironment=B=2", {"B": ("2", "2")}),
        ("Environment=A=1 B=2\nUnsetEnvironment=A", {"B": ("2", "2")}),
        ("PassEnvironment=A", {"A": (UNKNOWN, "A")}),
        ("Environment=A=%h B=100%%", {"A": (UNKNOWN, "%h"), "B": ("100%", "100%%")}),
        ("Environment=A=$B", {"A": ("$B", "$B")}),
        ('Environment="A=b', {"A": (UNKNOWN, "b")}),
        ("Environment=A={{ a | default('5 m') }} B=2", {"A": (UNKNOWN, "{{ a | default('5 m') }}"), "B": ("2", "2")}),
        ("{% if a %}\nEnvironment=A=1\n{% endif %}\nEnvironment=B=2", {"A": (UNKNOWN, "1"), "B": ("2", "2")}),
        ("MemoryMax=16G", {MEMORY_LIMIT: (2**34, "16G")}),
        ("MemoryHigh=1G\nMemoryMax=1.5G", {MEMORY_LIMIT: (3 * 2**29, "1.5G")}),
        ("MemoryMax=80%", {MEMORY_LIMIT: (UNKNOWN, "80%")}),
        ("MemoryMax=infinity", {}),
        ("MemoryMax=8G\nMemoryMax=", {}),
        ("[Unit]\nEnvironment=A=1", {}),
        ("# Environment=A=1", {}),
    ],
)
def test_reads_as_systemd_does(lines: str, expected: Facts) -> None:
    for text in (_SERVES + lines, (_SERVES + lines).replace("\n", "\r\n")):
        subject = only(read(Systemd(), "ollama.service", text))
        assert facts(subject) == expected
        assert (subject.address, at(subject)) == ("ollama.service", "[Service]")


@pytest.mark.parametrize(
    ("path", "text", "is_server"),
    [
        ("llm.service", "[Service]\nExecStart=/usr/bin/env ollama serve\nEnvironment=A=1", True),
        ("llm.service", "[Service]\nExecStart=/bin/sh -c 'exec ollama serve'\nEnvironment=A=1", True),
        ("llm.service.j2", "[Service]\nExecStart={{ ollama_bin }} serve\nEnvironment=A=1", True),
        ("ollama.service.d/x.conf", "[Service]\nEnvironment=A=1", True),
        ("roles/ollama/templates/override.conf.j2", "[Service]\nEnvironment=OLLAMA_NUM_PARALLEL=1", True),
        ("q.container", "[Container]\nImage=docker.io/ollama/ollama:0.5\nEnvironment=A=1", True),
        ("webui.service", "[Service]\nExecStart=open-webui serve\nEnvironment=OLLAMA_KEEP_ALIVE=1", False),
        ("ollama-exporter.service", "[Service]\nExecStart=/bin/exporter\nEnvironment=OLLAMA_HOST=x", False),
        ("webui.service.d/x.conf", "[Service]\nEnvironment=OLLAMA_BASE_URL=1", False),
        ("ollama-webui.service.d/x.conf", "[Service]\nEnvironment=OLLAMA_HOST=1", False),
        ("q.container", "[Container]\nImage=ghcr.io/open-webui/open-webui:ollama\nEnvironment=A=1", False),
        ("ollama.conf", "[Unit]\nAfter=ollama.service", False),
    ],
)
def test_only_what_runs_ollama_is_a_server(path: str, text: str, is_server: bool) -> None:
    assert len(read(Systemd(), path, text)) == is_server


def test_files_of_variables_win_over_the_units_own() -> None:
    text = _SERVES + "EnvironmentFile=-/etc/default/ollama\nEnvironment=OLLAMA_A=1 B=2\n"
    variables = "OLLAMA_A=24h # x\nOLLAMA_C='3'\nOTHER=4"
    subject = only(read(Systemd(), "root/etc/systemd/system/o.service", text, root__etc__default__ollama=variables))
    assert facts(subject) == {"OLLAMA_A": ("24h # x", "24h # x"), "B": ("2", "2"), "OLLAMA_C": ("3", "'3'")}
    assert subject.settings["OLLAMA_A"].file.path == "root/etc/default/ollama"
    assert [setting.written for setting in subject.repeated] == ["1"]
    assert subject.unknown is None


def test_a_file_of_variables_that_is_not_there_is_said() -> None:
    for name in ("/etc/default/ollama", "-%h/x.env"):
        subject = only(read(Systemd(), "o.service", _SERVES + f"EnvironmentFile={name}\n", ollama="A=1"))
        assert subject.unknown is not None
        assert not subject.settings
    named = only(read(Systemd(), "a/o.service", _SERVES + "EnvironmentFile=/x/o.env\n", a__o_DOT_env="OLLAMA_A=1"))
    assert facts(named) == {"OLLAMA_A": ("1", "1")}


def test_drop_ins_belong_to_their_unit_in_the_order_of_their_names() -> None:
    others = {
        "x__o.service.d__b.conf": "[Service]\nEnvironment=A=3 OLLAMA_X=1\n",
        "x__o.service.d__a.conf": "[Service]\nEnvironment=A=2\nMemoryMax=1G\n",
    }
    subject = only(read(Systemd(), "x/o.service", _SERVES + "Environment=A=1\n", **others))
    assert facts(subject) == {"A": ("3", "3"), "OLLAMA_X": ("1", "1"), MEMORY_LIMIT: (2**30, "1G")}
    assert subject.settings["A"].origin == "x/o.service.d/b.conf"
    alone = read(Systemd(), "x/o.service.d/c.conf", "[Service]\n# ollama\n", **{"x__o.service": _SERVES})
    assert alone == []


def test_a_drop_in_alone_does_not_say_all() -> None:
    subject = only(read(Systemd(), "ollama.service.d/x.conf", "[Service]\nEnvironment=A=1\n"))
    assert (subject.address, subject.is_open) == ("ollama.service", True)


def test_a_loop_of_a_template_may_set_anything() -> None:
    text = _SERVES + '{% for k, v in e.items() %}\nEnvironment="{{ k }}={{ v }}"\n{% endfor %}\n'
    subject = only(read(Systemd(), "ollama.service.j2", text))
    assert subject.unknown is not None
    assert inserted(subject).startswith('[Service]\nEnvironment="OLLAMA_NEW=1"\nExecStart=')


def test_quadlet_and_docker_in_a_unit() -> None:
    text = "[Container]\nImage=ollama/ollama:0.5.1\nAddDevice=nvidia.com/gpu=all\n[Service]\nMemoryMax=8G\n"
    subject = only(read(Systemd(), "ollama.container", text))
    assert facts(subject) == {
        IMAGE: ("ollama/ollama:0.5.1", "ollama/ollama:0.5.1"),
        GPU_COUNT: (UNKNOWN, "nvidia.com/gpu=all"),
        MEMORY_LIMIT: (2**33, "8G"),
    }
    assert inserted(subject).startswith('[Container]\nEnvironment="OLLAMA_NEW=1"\nImage=')
    text = "[Service]\nExecStart=/usr/bin/docker run --rm -e A=1 -m 8g ollama/ollama\n"
    assert facts(only(read(Systemd(), "llm.service", text))) == {
        "A": ("1", "1"),
        MEMORY_LIMIT: (2**33, "8g"),
        IMAGE: ("ollama/ollama", "ollama/ollama"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_SERVES + "Environment=A=1\nUser=x\n", _SERVES + 'Environment=A=1\nEnvironment="OLLAMA_NEW=1"\nUser=x\n'),
        ("[Service]\r\nExecStart=ollama serve", '[Service]\r\nEnvironment="OLLAMA_NEW=1"\r\nExecStart=ollama serve'),
        (_SERVES + "Environment=A=1 \\\n  B=2", _SERVES + 'Environment=A=1 \\\n  B=2\nEnvironment="OLLAMA_NEW=1"'),
    ],
)
def test_a_setting_is_added_behind_the_last(text: str, expected: str) -> None:
    assert inserted(only(read(Systemd(), "ollama.service", text))) == expected


def test_reads_a_unit_inside_another_file() -> None:
    inner = b'    [Service]\n    Environment="OLLAMA_KEEP_ALIVE=1d" B=$X\n'
    file = SourceFile("tasks/main.yml", b"content: |\n" + inner)
    path = "/etc/systemd/system/ollama.service.d/x.conf"
    subject = only(list(read_unit(inner, file, 11, "override", path=path, filled=re.compile(rb"\$"))))
    assert facts(subject) == {"OLLAMA_KEEP_ALIVE": ("1d", "1d"), "B": (UNKNOWN, "$X")}
    assert inserted(subject).endswith('B=$X\n    Environment="OLLAMA_NEW=1"\n')
    assert list(read_unit(inner, file, 11, "override", path="/etc/x.service.d/y.conf")) == []


def test_says_where_it_is_not_utf_8() -> None:
    assert refused_at(Systemd(), "ollama.service", b"[Service]\n\xff") == 10
