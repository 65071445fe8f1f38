import pytest

from ollama_policy.model.settings import IMAGE, MEMORY_LIMIT, Subject
from ollama_policy.sources.nix import MAX_DEPTH, Nix
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read, refused_at

_HEAD = "{ config, lib, pkgs, ... }:\n"


def _module(text: str) -> list[Subject]:
    return read(Nix(), "ollama.nix", text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"5m"', ("5m", '"5m"')),
        ("''5m''", ("5m", "''5m''")),
        ("''a''${b} '''c''\\n''", ("a${b} ''c\n", "''a''${b} '''c''\\n''")),
        ('"a\\"\\${b}"', ('a"${b}', '"a\\"\\${b}"')),
        ("4", ("4", "4")),
        ("-1", ("-1", "-1")),
        ("toString 4", ("4", "4")),
        ("builtins.toString (-1)", ("-1", "-1")),
        ('lib.mkForce "1"', ("1", '"1"')),
        ('(mkDefault ("1"))', ("1", '"1"')),
        ("ka", ("1d", '"1d"')),
        ('"${ka}h"', ("1dh", '"${ka}h"')),
        ("other", (UNKNOWN, "other")),
        ("twice", (UNKNOWN, "twice")),
        ("pkgs", (UNKNOWN, "pkgs")),
        ("config.x", (UNKNOWN, "config.x")),
        ('"${config.x}m"', (UNKNOWN, '"${config.x}m"')),
        ('if x then "1" else "2"', (UNKNOWN, 'if x then "1" else "2"')),
        ('lib.mkIf x "1"', (UNKNOWN, 'lib.mkIf x "1"')),
        ("toString (1 + 1)", (UNKNOWN, "1 + 1")),
    ],
)
def test_values(value: str, expected: tuple[str, str]) -> None:
    names = 'let ka = "1d"; twice = "1"; in let twice = "2"; in'
    text = f"{_HEAD}{names} {{\n  services.ollama.environmentVariables.A = {value};\n}}"
    assert facts(only(_module(text))) == {"A": expected}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ services.ollama = { environmentVariables = { "A" = "1"; }; }; }', {"A": ("1", '"1"')}),
        ('{ config = lib.mkMerge [ { services.ollama.environmentVariables.A = "1"; } ]; }', {"A": ("1", '"1"')}),
        ('{ config = lib.mkIf x { services.ollama.environmentVariables.A = "1"; }; }', {"A": (UNKNOWN, '"1"')}),
        ('{ services.ollama.environmentVariables = { A = "1"; } // { A = "2"; }; }', {"A": ("2", '"2"')}),
        ('{ services.ollama.environmentVariables = lib.mkForce { A = "1"; }; }', {"A": ("1", '"1"')}),
        ("{ services.ollama.environmentVariables = rec { inherit A; }; }", {"A": (UNKNOWN, "A")}),
        ("{ services.ollama.environmentVariables = { inherit (x) A; }; }", {"A": (UNKNOWN, "A")}),
        ('{ systemd.services.ollama.environment.A = "1"; }', {"A": ("1", '"1"')}),
        (
            '{ systemd.services.ollama.serviceConfig = { Environment = [ "A=1" "C=${x}" ]; MemoryMax = "8G"; }; }',
            {"A": ("1", "1"), "C": (UNKNOWN, "${x}"), MEMORY_LIMIT: (2**33, '"8G"')},
        ),
        ("{ systemd.services.ollama.serviceConfig.Environment = \"A=1\"; }", {"A": ("1", "1")}),
        ("{ systemd.services.ollama.serviceConfig.MemoryMax = \"80%\"; }", {MEMORY_LIMIT: (UNKNOWN, '"80%"')}),
        ("{ systemd.services.ollama.serviceConfig.MemoryMax = \"infinity\"; }", {}),
        ('{ launchd.user.agents.ollama.serviceConfig.EnvironmentVariables.A = "1"; }', {"A": ("1", '"1"')}),
        ("{ services.ollama.enable = true; }", {}),
        ("{ services.ollama = { enable = true; }; }", {}),
    ],
)  # fmt: skip
def test_where_the_servers_settings_stand(text: str, expected: Facts) -> None:
    subject = only(_module(_HEAD + text))
    assert facts(subject) == expected
    assert subject.address == "services.ollama"


@pytest.mark.parametrize(
    "text",
    [
        '{ services.open-webui.environment = { OLLAMA_BASE_URL = "x"; OLLAMA_KEEP_ALIVE = "1"; }; }',
        '{ home.sessionVariables.OLLAMA_HOST = "x"; }',
        'let services.ollama.environmentVariables.A = "1"; in { }',
        '{ virtualisation.oci-containers.containers.ui = { image = "open-webui:ollama"; environment.A = "1"; }; }',
        '{ services.ollama = { enable = false; environmentVariables.A = "1"; }; }',
        "[ pkgs.ollama ]",
    ],
)
def test_other_programs_are_not_servers(text: str) -> None:
    assert _module(_HEAD + text) == []


@pytest.mark.parametrize(
    "value", ["cfg.env", 'cfg // { A = "1"; }', 'lib.mapAttrs f { A = "1"; }', '{ ${name} = "1"; }', "let x = 1; in y"]
)
def test_what_is_put_together_elsewhere_is_said(value: str) -> None:
    assert only(_module(f"{{ services.ollama.environmentVariables = {value}; }}")).unknown is not None


def test_containers() -> None:
    text = (
        _HEAD + "{ virtualisation.oci-containers = { containers.llm = {\n"
        '  image = "ollama/ollama:0.5"; environment = { A = "1"; };\n'
        '  extraOptions = [ "--gpus=all" "--memory=8g" ]; environmentFiles = [ x ]; }; }; }'
    )
    subject = only(_module(text))
    assert facts(subject) == {
        IMAGE: ("ollama/ollama:0.5", '"ollama/ollama:0.5"'),
        "A": ("1", '"1"'),
        MEMORY_LIMIT: (2**33, "8g"),
    }
    assert (subject.address, at(subject)) == ("containers.llm", "containers.llm")
    assert subject.unknown is not None
    assert 'A = "1"; OLLAMA_NEW = "1"; };' in inserted(subject)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_setting_is_added_behind_the_last(newline: str) -> None:
    lines = ["{", "  services.ollama.environmentVariables = {", '    A = "1"; # note', "  };", "}"]
    subject = only(_module(newline.join(lines)))
    lines[2:3] = ['    A = "1";', '    OLLAMA_NEW = "1"; # note']
    assert inserted(subject) == newline.join(lines)


def test_only_what_is_written_for_it_alone_may_be_rewritten() -> None:
    text = '{ services.ollama.environmentVariables = { A = "1"; B = ka; C = "${ka}"; D = 1; }; }'
    settings = only(_module(f'let ka = "1"; in {text}')).settings
    assert [key for key, setting in settings.items() if setting.is_literal] == ["A"]
    assert settings["B"].origin == "ka"


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("{ services.ollama = ", 0),
        ("{ services.ollama = 1; } }", 25),
        (b"{ a = 1; }\n# ollama \xff", 20),
        ("{ ollama = " + "[" * 10_000 + "]" * 10_000 + "; }", 11 + MAX_DEPTH - 3),
    ],
)
def test_says_where_it_is_no_nix(text: str | bytes, offset: int) -> None:
    assert refused_at(Nix(), "ollama.nix", text) == offset
