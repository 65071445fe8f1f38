"""What `adopt` writes: names, texts and comments that no server's words can break out of."""

import runpy
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ollama_provider
from ollama_policy.adopting import Engine, Held, Holding, hcl_text, python_text, render, resource_names
from ollama_policy.settings import Kind
from ollama_policy.sources.terraform.hcl import TerraformSource
from ollama_provider.ollama.names import ModelName
from tests.policies.conftest import Command
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
    plain = Held(ModelName.parse("me/chat:8b"), False, ())
    text = render(holding(NASTY, plain, remarks=("first\nsecond",)), Engine.TERRAFORM, URL)
    subjects = [subject for subject in read(TerraformSource(), "a.tf", text) if subject.kind is Kind.MODEL]
    assert [(one.address, one.value("name"), one.value("memory_management")) for one in subjects] == [
        ("ollama_model.a", "a:latest", "manual"),
        ("ollama_model.me_chat_8b", "me/chat:8b", "automatic"),
    ]
    assert {one.value("host") for one in subjects} == {URL}
    assert f'to = ollama_model.me_chat_8b\n  id = "me/chat:8b@{URL}"\n' in text
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
    assert made == [("a", {"name": "a:latest", "memory_management": "manual", "host": URL})]


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
