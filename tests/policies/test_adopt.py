"""What `adopt` writes: names, texts and comments that no server's words can break out of."""

import re
import runpy
import string
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ollama_provider
from ollama_policy.commands.adopt.command import (
    Engine,
    Held,
    Holding,
    _keep_alive,
    hcl_text,
    python_text,
    render,
    resource_names,
)
from ollama_policy.model.rule import Severity
from ollama_policy.model.settings import Kind
from ollama_policy.pipeline.check import Options, check
from ollama_policy.rules import RULES
from ollama_policy.sources.terraform.hcl import TerraformSource
from ollama_provider.ollama.names import ModelName
from tests.policies.conftest import Command
from tests.policies.drift.servers import NOW, running, seen
from tests.policies.sources.reading import read

URL = "http://127.0.0.1:11434"


def names(*texts: str) -> list[ModelName]:
    return list(map(ModelName.parse, texts))


def holding(*models: Held, remarks: tuple[str, ...] = ()) -> Holding:
    return Holding(URL, models, remarks)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (("llama3",), ["llama3"]),
        (("llama3:8b-instruct-Q4",), ["llama3_8b_instruct_q4"]),
        (("me/Chat:latest", "registry.example:5000/you/chat"), ["me_chat", "you_chat"]),
        (("3d", "_", "_:_"), ["model_3d", "model", "model_2"]),
        (("a.b", "a-b", "a_b", "a_b_2"), ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]),
    ],
    ids=",".join,
)
def test_resource_names_are_identifiers_and_no_two_the_same(texts: tuple[str, ...], wanted: list[str]) -> None:
    assert resource_names(names(*texts)) == wanted


@given(st.lists(st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=8), max_size=9, unique=True))
def test_any_names_give_as_many_identifiers(texts: list[str]) -> None:
    given_names = names(*(f"m{text}" for text in texts))
    found = resource_names(given_names)
    assert len(set(found)) == len(given_names)
    assert all(name.isidentifier() and name == name.lower() for name in found)


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('$%{}"\\\n\r\t\x00\u2028\U000e0041')))
def test_a_text_comes_back_from_hcl_and_from_python(text: str) -> None:
    [subject] = read(TerraformSource(), "a.tf", f'resource "ollama_model" "m" {{\n  system = {hcl_text(text)}\n}}\n')
    assert subject.value("system") == text
    assert eval(python_text(text)) == text  # noqa: S307 - what is tested
    assert python_text(text).isprintable()
    assert hcl_text(text).isprintable()


NASTY = Held(ModelName.parse("a"), True, ('one\n}\nresource "ollama_model" "evil" {', "two\x1b[31m\u202e", "${x} %{x}"))


def test_terraform_reads_what_was_meant() -> None:
    plain = Held(ModelName.parse("me/chat:8b"), False, (), "5m")
    text = render(holding(NASTY, plain, remarks=("first\nsecond",)), Engine.TERRAFORM, URL)
    subjects = [subject for subject in read(TerraformSource(), "a.tf", text) if subject.kind is Kind.MODEL]
    values = ("name", "memory_management", "keep_alive", "on_destroy", "host")
    assert [(one.address, *map(one.value, values)) for one in subjects] == [
        ("ollama_model.a", "a:latest", "manual", None, "unload", None),
        ("ollama_model.me_chat_8b", "me/chat:8b", "automatic", "5m", "unload", None),
    ]
    assert f'provider "ollama" {{\n  host = "{URL}"\n}}\n' in text
    assert 'to = ollama_model.me_chat_8b\n  id = "me/chat:8b?keep_alive=5m&on_destroy=unload"\n' in text
    at_each = render(holding(plain), Engine.TERRAFORM, URL, has_provider=False)
    assert f'id = "me/chat:8b@{URL}?keep_alive=5m&on_destroy=unload"\n' in at_each
    assert re.search(rf'^  host += "{URL}"$', at_each, re.MULTILINE)
    assert "host" not in render(holding(plain), Engine.TERRAFORM, None)
    assert all(line.isprintable() for line in text.splitlines())


def test_python_runs_what_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, dict[str, str]]] = []

    def model(resource_name: str, /, **inputs: str) -> None:
        made.append((resource_name, inputs))

    monkeypatch.setattr(ollama_provider, "OllamaModel", model, raising=False)
    program = tmp_path / "__main__.py"
    program.write_text(render(holding(NASTY), Engine.PULUMI, URL))
    runpy.run_path(str(program))
    assert made == [("a", {"name": "a:latest", "memory_management": "manual", "on_destroy": "unload", "host": URL})]


@pytest.mark.parametrize("whose", Engine)
@pytest.mark.parametrize("has_host", [False, True])
def test_check_accepts_what_is_written(whose: Engine, has_host: bool) -> None:
    models = (
        Held(ModelName.parse("short"), False, ("a remark",), "5m"),
        Held(ModelName.parse("long"), False, (), "2h"),
        Held(ModelName.parse("pinned"), True, ()),
        Held(ModelName.parse("kimi-k3:cloud"), False, ()),
    )
    text = render(holding(*models), whose, URL if has_host else None)
    path = "models.tf" if whose is Engine.TERRAFORM else "__main__.py"
    result = check([path], Options(RULES, overlay={path: text.encode()}))
    assert [one.finding.message for one in result.findings if one.severity is not Severity.INFO] == []
    assert (result.unreadable, result.undecided) == ([], [])


@pytest.mark.parametrize(
    ("left", "keep_alive"),
    [
        (None, "5m"),
        (timedelta(seconds=-1), "5m"),
        (timedelta(minutes=5), "5m"),
        (timedelta(minutes=5, seconds=2), "5m"),
        (timedelta(minutes=5, seconds=3), "10m"),
        (timedelta(minutes=29), "30m"),
        (timedelta(hours=1), "1h"),
        (timedelta(hours=1, seconds=3), "2h"),
        (timedelta(hours=23, minutes=59), "24h"),
    ],
)
def test_the_keep_alive_is_one_that_holds(left: timedelta | None, keep_alive: str) -> None:
    server = seen({"chat": NOW}, [] if left is None else [running("chat", left)])
    assert _keep_alive(server.running.models, server.running) == keep_alive


def test_a_server_that_holds_nothing_gives_comments_alone() -> None:
    for engine in Engine:
        assert all(line.startswith("# ") for line in render(holding(), engine, None).splitlines())


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("http://127.0.0.1:1", "no connection"),
        ("http://me:secret@127.0.0.1", "an address that cannot be used"),
        ("ftp://127.0.0.1", "an address that cannot be used"),
    ],
)
@pytest.mark.parametrize("name", ["adopt", "reclaim"])
def test_what_cannot_be_asked_is_said_and_no_secret_with_it(command: Command, name: str, host: str, words: str) -> None:
    result = command(name, "--host", host)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "secret" not in result.output.replace("give the secret as", "")
