"""The same server in other words is the same server: no replacement, no download. With the real engines."""

from typing import Any

import pytest

from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import count, installed, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.programs import program
from tests.engines.registry import Registry
from tests.engines.terraform_stack import configuration

pytestmark = pytest.mark.engines
M = "ollama_model.m"


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True, "memory_management": "manual"}


def test_terraform_replaces_nothing_where_a_server_is_written_in_other_words(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    port = ollama.url.rpartition(":")[2]
    provider = f'provider "ollama" {{\n  host = "{ollama.url}"\n}}\n'
    stack = terraform_of(provider + configuration(m=model | {"host": ollama.url}))
    stack.apply()
    since = ollama.mark()
    for host, planned in (
        (f"localhost:{port}", {}),
        (f"http://127.0.0.1:{port}/", {}),
        (None, {M: "update"}),
        (f"http://LOCALHOST:{port}", {M: "update"}),
    ):
        stack.configure(provider + configuration(m=model | ({"host": host} if host else {})))
        assert stack.apply().planned == planned, host
        assert stack.plan().planned == {}, host
    stack.configure(provider.replace("127.0.0.1", "localhost") + configuration(m=model))
    assert stack.apply().planned == {M: "update"}
    assert stack.state()[M]["origin"] == "pulled"
    stack.run("state", "rm", M)
    stack.run("import", M, f"{model['name']}@localhost:{port}")
    assert stack.apply().planned == {M: "update"}
    assert stack.plan().planned == {}
    assert (list(installed(ollama)), pinned(ollama)) == ([model["name"]], [model["name"]])
    assert {count(ollama, since, path) for path in ("/api/pull", "/api/delete", "/api/generate")} == {0}


def test_pulumi_replaces_nothing_where_a_server_is_written_in_other_words(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    port = ollama.url.rpartition(":")[2]
    stack = stack_of(program(m=model | {"host": ollama.url}))
    stack.up()
    since = ollama.mark()
    for host, changes in ((f"localhost:{port}/", {"same": 2}), (None, {"same": 1, "update": 1})):
        stack.set_program(program(m=model | ({"host": host} if host else {})))
        assert stack.up().changes == changes, host
    assert stack.up().changes == {"same": 2}
    assert {count(ollama, since, path) for path in ("/api/pull", "/api/delete", "/api/generate")} == {0}
    assert pinned(ollama) == [model["name"]]
