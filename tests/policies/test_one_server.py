"""Two of one model on one server, however the server is said: OLL006, and what a fix would pin."""

import json

import pytest

from ollama_policy.pipeline.check import Options, check
from ollama_policy.pipeline.configuration import Configuration
from ollama_policy.rules.conflicting_declarations import ConflictingDeclarations

GPU = 'host = "http://gpu:11434"'
MODULE = 'resource "ollama_model" "one" {\n  name = "x"\n}\n'


def provider(*lines: str, name: str = "ollama") -> str:
    return f'provider "{name}" {{\n' + "".join(f"  {line}\n" for line in lines) + "}\n"


def resource(address: str, *lines: str) -> str:
    return f'resource "ollama_model" "{address}" {{\n  name = "x"\n' + "".join(f"  {line}\n" for line in lines) + "}\n"


def call(address: str, *lines: str) -> str:
    return f'module "{address}" {{\n  source = "./m"\n' + "".join(f"  {line}\n" for line in lines) + "}\n"


def conflicts(files: dict[str, str]) -> int:
    tree = {path: text.encode() for path, text in files.items()}
    result = check([*tree], Options((ConflictingDeclarations,), Configuration(), overlay=tree))
    return len(result.findings)


@pytest.mark.parametrize(
    "text",
    [
        provider(GPU) + resource("a") + resource("b", GPU),
        provider(GPU) + resource("a") + resource("b", 'host = "gpu"'),
        provider(GPU) + resource("a") + resource("b", "provider = ollama"),
        provider(GPU) + provider(GPU, 'alias = "b"') + resource("a") + resource("b", "provider = ollama.b"),
        provider("host = var.h") + 'variable "h" { default = "gpu" }\n' + resource("a") + resource("b", GPU),
        provider("host = var.h") + 'variable "h" {}\n' + resource("a") + resource("b"),
        provider('alias = "b"', "host = var.h")
        + 'variable "h" {}\n'
        + resource("a", "provider = ollama.b")
        + resource("b", "provider = ollama.b"),
        provider() + provider('alias = "b"') + resource("a") + resource("b", "provider = ollama.b"),
    ],
)
def test_one_server_in_other_words(text: str) -> None:
    assert conflicts({"main.tf": text}) == 1


@pytest.mark.parametrize(
    "text",
    [
        provider(GPU) + resource("a") + resource("b", 'host = "http://other:11434"'),
        provider(GPU)
        + provider('alias = "b"', 'host = "other"')
        + resource("a")
        + resource("b", "provider = ollama.b"),
        provider(GPU) + resource("a") + resource("b", "provider = ollama.elsewhere"),
        provider(GPU, name="other") + resource("a") + resource("b", GPU),
        provider("host = var.h") + 'variable "h" {}\n' + resource("a") + resource("b", GPU),
        resource("a") + resource("b", GPU),
    ],
)
def test_what_may_be_two_servers_is_no_conflict(text: str) -> None:
    assert conflicts({"main.tf": text}) == 0


def test_the_provider_block_may_stand_in_another_file_and_in_json() -> None:
    block = json.dumps({"provider": {"ollama": [{"host": "gpu"}, {"alias": "b", "host": "gpu:11434"}]}})
    models = resource("a") + resource("b", "provider = ollama.b")
    assert conflicts({"providers.tf.json": block, "main.tf": models}) == 1


def test_an_override_says_the_last_word() -> None:
    files = {"main.tf": provider('host = "other"') + resource("a") + resource("b", GPU)}
    assert conflicts(files) == 0
    assert conflicts(files | {"x_override.tf": provider(GPU)}) == 1


@pytest.mark.parametrize(
    ("root", "count"),
    [
        (provider(GPU) + resource("a", GPU) + call("m"), 1),
        (provider('host = "other"') + resource("a", GPU) + call("m"), 0),
        (provider(GPU) + resource("a") + call("m", "providers = { ollama = ollama.eu }"), 0),
        (
            provider(GPU)
            + call("m", "providers = { ollama = ollama.eu }")
            + call("n", "providers = { ollama = ollama.us }"),
            0,
        ),
    ],
)
def test_a_module_has_its_callers_provider_unless_it_is_handed_others(root: str, count: int) -> None:
    assert conflicts({"main.tf": root, "m/main.tf": MODULE}) == count


def test_two_in_a_module_that_is_handed_a_provider_are_on_one_server() -> None:
    root = call("m", "providers = { ollama = ollama.eu }")
    assert conflicts({"main.tf": root, "m/main.tf": MODULE + MODULE.replace('"one"', '"two"')}) == 1


def test_a_module_with_a_server_of_each_call() -> None:
    module = 'variable "h" {}\n' + provider("host = var.h") + MODULE + MODULE.replace('"one"', '"two"')
    root = call("m", 'h = "a"') + call("n", 'h = "b"')
    assert conflicts({"main.tf": root, "m/main.tf": module.replace(MODULE, "", 1)}) == 0
    assert conflicts({"main.tf": root, "m/main.tf": module}) == 1
