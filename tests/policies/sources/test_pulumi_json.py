"""Previews and states of Pulumi: decided values, placed in the program beside them."""

import json
from typing import Any

import pytest

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Style, Subject, Unknown
from ollama_policy.sources.pulumi.shown import PulumiJson
from tests.policies.sources.trees import Files, file

DYNAMIC = "pulumi-python:dynamic/ollama:Model"
SIGNATURE = "4dabf18193072939515e22adb298388d"


def state(resource: str, kind: str = DYNAMIC, /, **inputs: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::infra::{kind}::{resource}"
    return {
        "urn": urn,
        "custom": True,
        "type": kind,
        "inputs": {"__provider": "gASV", **inputs},
        "outputs": {"size": 1},
    }


def preview(*states: dict[str, Any]) -> str:
    steps = [{"op": "create", "urn": found["urn"], "newState": found} for found in states]
    return json.dumps({"config": {}, "steps": steps, "changeSummary": {}}, indent=4)


def export(*states: dict[str, Any]) -> str:
    return json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": list(states)}})


def read(text: str, *programs: SourceFile, path: str = "infra/preview.json") -> list[Subject]:
    preview_file = file(path, text)
    source = PulumiJson()
    return list(source.read(preview_file, Files(*programs))) if source.accepts(preview_file) else []


@pytest.mark.parametrize("form", [preview, export])
@pytest.mark.parametrize("kind", [DYNAMIC, "ollama:index:Model", "ollama:index/model:Model"])
def test_a_resource_has_its_inputs(form: Any, kind: str) -> None:
    other = state("b", "docker:index/container:Container", image="ollama/ollama")
    model = state(
        "chat", kind, name="llama3", keepAlive="5m", size=None, digest=None, timeouts={"load": "5m"}, drift=""
    )
    [subject] = read(form(other, model))
    assert subject.address == 'OllamaModel("chat")'
    assert {key: setting.value for key, setting in subject.settings.items()} == {
        "name": "llama3",
        "keep_alive": "5m",
        "timeouts": {"load": "5m"},
    }
    assert subject.settings["keep_alive"].written == '"5m"'
    assert subject.style is Style.JSON
    assert subject.insertion is None
    assert not any(setting.is_literal for setting in subject.settings.values())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("04da6b54-80e4-46f7-96ec-b56ff0331ba9", "it is only known at deployment"),
        ({SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}, "it is a secret"),
        ({SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7"}, "it is not a plain value"),
        ("[secret]", "it is a secret"),
        ({"num_ctx": "3eeb2bf0-c639-47a8-9e75-3b44932eb421"}, "it is only known at deployment"),
        (["x", {"a": "[secret]"}], "it is a secret"),
    ],
)
def test_what_pulumi_does_not_say_is_undecided(value: Any, reason: str) -> None:
    [subject] = read(preview(state("chat", name="x", parameters=value)))
    assert subject.settings["parameters"].value == Unknown(reason)


PROGRAM = SourceFile(
    "infra/__main__.py",
    b'import pulumi\nfrom ollama_provider import OllamaModel\nmode = pulumi.Config().require("mode")\n'
    b'OllamaModel("chat", name="llama3", memory_management=mode)\n',
)


@pytest.mark.parametrize("path", ["infra/preview.json", "out/preview.json"])
def test_a_value_stands_where_the_program_writes_it(path: str) -> None:
    model = state("chat", name="llama3", memory_management="automatic", host="gpu")
    [subject] = read(preview(model), PROGRAM, path=path)
    assert subject.file is PROGRAM
    assert PROGRAM.data[subject.span.start : subject.span.end] == b"OllamaModel"
    mode = subject.settings["memory_management"]
    assert (mode.value, mode.file, mode.written, mode.is_literal) == ("automatic", PROGRAM, "mode", False)
    assert mode.origin == f"{path} says so"
    assert subject.settings["name"].is_literal
    host = subject.settings["host"]
    assert (host.file.path, host.written) == (path, '"gpu"')


@pytest.mark.parametrize(
    "program",
    [
        PROGRAM.data.replace(b'"chat"', b'"other"'),
        PROGRAM.data + b'def f():\n    OllamaModel("chat", name="b")\n',
        PROGRAM.data + b"(",
    ],
    ids=["another", "twice", "broken"],
)
def test_without_one_certain_place_a_value_stands_in_the_json(program: bytes) -> None:
    [subject] = read(preview(state("chat", name="llama3")), SourceFile("infra/__main__.py", program))
    assert subject.file.path == "infra/preview.json"


def test_a_replacement_is_one_resource_and_a_deleted_one_none() -> None:
    model = state("chat", name="llama3")
    assert len(read(preview(model, model))) == 1
    assert read(export({**model, "delete": True})) == []
    gone = {"steps": [{"op": "delete", "urn": model["urn"], "oldState": model, "newState": None}]}
    assert read(json.dumps(gone)) == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"type": "ollama:index:Model"}',
        '{"steps": "ollama:index:Model", "newState": 1}',
        '{"deployment": {"resources": [1, {"type": "ollama:index:Model", "urn": 5, "inputs": []}]}}',
        '[{"steps": [{"newState": {"type": "ollama:index:Model"}}]}]',
    ],
)
def test_other_json_is_left_alone(text: str) -> None:
    assert read(text) == []


def test_half_a_file_is_refused_at_its_end() -> None:
    text = preview(state("chat", name="x")).partition('"changeSummary"')[0]
    with pytest.raises(UnreadableError) as refused:
        read(text)
    assert refused.value.offset == len(text.encode())
