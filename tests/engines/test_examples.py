"""Every example runs as it stands, by real Pulumi on real Ollama; only its configuration names the test's servers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import StackMaker
from tests.engines.observing import installed, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.toolchain import Engines

pytestmark = pytest.mark.engines
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_documents_model(stack_of: StackMaker, ollama: OllamaServer, registry: Registry) -> None:
    stack = stack_of(EXAMPLES / "document")
    stack.config("model", registry.reference("tiny:latest"))
    stack.config("insecure", "true")
    stack.config("memory_management", "automatic")
    stack.up()
    assert ollama.ps() == []
    stack.config("memory_management", "manual")
    assert stack.up().changes == {"same": 1, "update": 1}
    assert stack.outputs()["pinned"] is True
    assert pinned(ollama) == [registry.reference("tiny:latest")]
    stack.destroy()
    assert ollama.runners() == []


def test_a_fleet_of_two_servers(
    stack_of: StackMaker,
    ollama: OllamaServer,
    engines: Engines,
    registry: Registry,
    ggufs: Callable[..., Path],
    tmp_path: Path,
) -> None:
    registry.push("rare:latest", ggufs(3))
    chat, rare = registry.reference("tiny:latest"), registry.reference("rare:latest")
    with OllamaServer(engines.ollama, tmp_path / "second") as second:
        stack = stack_of(EXAMPLES / "fleet", OLLAMA_HOST="127.0.0.1:1")
        for number, server in enumerate((ollama, second)):
            stack.run("config", "set", "--path", f"hosts[{number}]", server.url)
        stack.config("chat_model", chat)
        stack.config("rare_model", rare)
        stack.config("insecure", "true")
        stack.up()
        for server in (ollama, second):
            assert installed(server).keys() == {chat, rare}
            assert pinned(server) == [chat]
        stack.destroy()
        for server in (ollama, second):
            assert list(installed(server)) == [rare], "on_destroy = unload leaves the files"
            assert server.runners() == []


def test_a_variant_with_a_context_of_its_own(stack_of: StackMaker, ollama: OllamaServer, registry: Registry) -> None:
    stack = stack_of(EXAMPLES / "variant")
    stack.config("base", registry.reference("tiny:latest"))
    stack.config("num_ctx", "1024")
    stack.config("insecure", "true")
    stack.up()
    assert [(model["name"], model["context_length"]) for model in ollama.ps()] == [("support-assistant:latest", 1024)]
    details = ollama.call("POST", "/api/show", {"model": "support-assistant"}).json()
    assert details["system"].startswith("You answer questions about invoices")
    assert "num_ctx                        1024" in details["parameters"]
    assert stack.up().changes == {"same": 2}
    stack.destroy()
    assert list(installed(ollama)) == [registry.reference("tiny:latest")], "the base was not declared, and stays"


def test_a_gguf_of_ones_own_is_uploaded_when_it_changes_and_only_then(
    stack_of: StackMaker, ollama: OllamaServer, ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "own.gguf"
    file.write_bytes(ggufs(4).read_bytes())
    stack = stack_of(EXAMPLES / "gguf")
    stack.config("gguf", str(file))
    stack.up()
    first = installed(ollama)["own-model:latest"]
    assert stack.outputs()["family"] == "llama"
    file.touch()
    assert stack.up().changes == {"same": 2}, "another time, the same content"
    file.write_bytes(ggufs(5).read_bytes())
    assert stack.up().changes == {"same": 1, "update": 1}
    assert first != installed(ollama)["own-model:latest"]
    assert pinned(ollama) == ["own-model:latest"]
    assert [model["digest"] for model in ollama.ps()] == [installed(ollama)["own-model:latest"]]
    file.unlink()
    stack.destroy()
    assert (ollama.tags(), ollama.runners()) == ([], [])
