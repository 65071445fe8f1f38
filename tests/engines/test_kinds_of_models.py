"""Models that cannot be held, or whose name reaches another, on a real Ollama: refused at once, without any harm."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ollama_policy.cli import cli
from ollama_provider.apply.failures import UnplacedError
from ollama_provider.apply.states import State
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.errors import RefusedError
from tests.conftest import TerraformMaker
from tests.engines.kinds import REMOTE_HOST, copy, make_image, make_remote, write_safetensors
from tests.engines.observing import call, count, installed, pinned, resident
from tests.engines.ollama_server import OllamaServer
from tests.engines.one_lifecycle import Work, run_on
from tests.engines.tiny_architectures import Shape, write_architecture

pytestmark = pytest.mark.engines
Run = Callable[[Work], Any]
LOADS = ("/api/generate", "/api/embed", "/api/chat", "/api/show")
MANUAL = {"memory_management": "manual"}


@pytest.fixture
def run(ollama: OllamaServer) -> Run:
    return partial(run_on, ollama.url)


def asked(server: OllamaServer, since: int) -> int:
    return sum(count(server, since, path) for path in LOADS)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "far"} | MANUAL,
        {"name": "far", "resident": False} | MANUAL,
        {"name": "mine", "base": "far", "system": "be brief"} | MANUAL,
    ],
    ids=["resident", "absent", "derived from it"],
)
def test_a_cloud_model_is_not_held_and_nothing_is_asked_of_it(
    run: Run, ollama: OllamaServer, values: dict[str, Any]
) -> None:
    make_remote(ollama, "far")
    before, since = installed(ollama), ollama.mark()
    with pytest.raises(
        RefusedError, match=rf"runs on {REMOTE_HOST} as gpt-oss:120b: this server does not hold it in memory"
    ):
        run(lambda lifecycle: lifecycle.create(values))
    assert (installed(ollama), asked(ollama, since)) == (before, 0)


@pytest.mark.parametrize("name", ["far", "gpt-oss:120b-cloud"])
def test_a_cloud_model_whose_release_is_left_to_ollama_is_managed_on_disk_alone(
    run: Run, ollama: OllamaServer, name: str
) -> None:
    make_remote(ollama, name)
    since = ollama.mark()
    state: State = run(lambda lifecycle: lifecycle.create({"name": name, "keep_alive": "5m"}))
    assert (state["pinned"], state["drift"], state["capabilities"]) == (False, "", [])
    assert run(lambda lifecycle: lifecycle.read(state)) == state
    assert "memory_management" not in run(lambda lifecycle: lifecycle.adopt(name)), "automatic, as where none is given"
    if name == "far":
        with pytest.raises(RefusedError, match="there is nothing to pin or to unload"):
            run(lambda lifecycle: lifecycle.update(state, {"name": name} | MANUAL))
    run(lambda lifecycle: lifecycle.delete(state | {"on_destroy": "delete"}))  # it was there before
    assert (installed(ollama), asked(ollama, since)) == ({}, 0)


def test_a_model_that_makes_images_is_refused_before_its_load(run: Run, ollama: OllamaServer, tiny: Path) -> None:
    make_image(ollama, "painter", tiny)
    refused = ollama.call("POST", "/api/generate", {"model": "painter"})
    assert (refused.status_code, "image generation" in refused.text) == (400, True), "as the table of versions says"
    since = ollama.mark()
    with pytest.raises(
        RefusedError,
        match=r"painter:latest generates images, and this version of Ollama does not load such models\. "
        r"Declare",
    ):
        run(lambda lifecycle: lifecycle.create({"name": "painter"} | MANUAL))
    assert asked(ollama, since) == 0
    state: State = run(lambda lifecycle: lifecycle.create({"name": "painter", "keep_alive": "5m"}))
    assert "image" in state["capabilities"]
    assert resident(ollama) == []


def test_a_model_that_chats_is_never_loaded_by_a_call_for_embeddings(
    run: Run, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("chat", tiny)
    since = ollama.mark()
    run(lambda lifecycle: lifecycle.create({"name": "chat"} | MANUAL))
    assert (count(ollama, since, "/api/embed"), pinned(ollama)) == (0, ["chat:latest"])


def of_before(run: Run, name: str) -> State:
    """A state as it was left when a tag `local` was a tag like any other."""
    state: State = run(lambda lifecycle: lifecycle.adopt("chat"))
    return state | {"name": name, "id": name}


def test_a_destroy_of_a_local_tag_deletes_nothing_else(run: Run, ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("chat", tiny)
    copy(ollama, "chat", "chat:local")
    call(ollama, "chat", keep_alive=-1)
    state, before = of_before(run, "chat:local"), installed(ollama)
    with pytest.raises(InvalidDeclarationError, match="reaches chat:latest"):
        run(lambda lifecycle: lifecycle.create({"name": "chat:local"}))
    assert run(lambda lifecycle: lifecycle.read(state))["digest"] == state["digest"]
    with pytest.raises(RefusedError, match=r"would delete that; .* manifests/registry.ollama.ai/library/chat/local "):
        run(lambda lifecycle: lifecycle.delete(state))
    with pytest.raises(RefusedError, match="takes chat:local for chat:latest"):
        run(lambda lifecycle: lifecycle.update(state, {"name": "other"}))
    assert (installed(ollama), pinned(ollama)) == (before, ["chat:latest"])
    manifest = ollama.folder / "models/manifests/registry.ollama.ai/library/chat/local"
    manifest.unlink()  # as the message says
    assert run(lambda lifecycle: lifecycle.read(state)) is None
    run(lambda lifecycle: lifecycle.delete(state))
    assert (list(installed(ollama)), pinned(ollama)) == (["chat:latest"], ["chat:latest"])


def policy(ollama: OllamaServer, *arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, list(map(str, arguments)), env={"OLLAMA_HOST": ollama.url})
    return result.exit_code, result.stdout


@pytest.fixture
def all_kinds(ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("chat", tiny)
    copy(ollama, "chat", "chat:local")
    copy(ollama, "chat", "mine:my-cloud")
    make_remote(ollama, "far")
    make_remote(ollama, "gpt-oss:120b-cloud")
    make_image(ollama, "painter", tiny)


@pytest.mark.usefixtures("all_kinds")
def test_adopt_writes_nothing_that_an_apply_refuses(ollama: OllamaServer, terraform_of: TerraformMaker) -> None:
    since = ollama.mark()
    _, written = policy(ollama, "adopt")
    assert "# chat:local is left out: a declaration of the tag local is refused" in written
    assert "# mine:my-cloud is left out: Ollama sends every call of this name to mine:my on ollama.com" in written
    assert f"# Runs on {REMOTE_HOST} as gpt-oss:120b: this server does not hold it in memory" in written
    stack = terraform_of(written)
    stack.apply()
    assert stack.plan("-detailed-exitcode").planned == {}
    assert count(ollama, since, "/api/generate") == 0
    assert sorted(one["name"] for one in stack.state().values()) == [
        "chat:latest",
        "far:latest",
        "gpt-oss:120b-cloud",
        "painter:latest",
    ]


@pytest.mark.usefixtures("all_kinds")
def test_drift_and_fit_tell_a_cloud_model_and_ask_nothing_of_it(ollama: OllamaServer, tmp_path: Path) -> None:
    models = [{"name": "far"} | MANUAL, {"name": "gpt-oss:120b-cloud", "keep_alive": "5m"}]
    declared = tmp_path / "models.yaml"
    declared.write_text(json.dumps({"models": models}))
    since = ollama.mark()
    _, said = policy(ollama, "drift", "--format", "json", declared)
    found = {one["address"]: one for one in json.loads(said)["findings"] if one["rule"] != "OLL510"}
    [one] = found.values()
    assert (one["rule"], f"far:latest runs on {REMOTE_HOST} as gpt-oss:120b" in one["message"]) == ("OLL503", True)
    assert one["advice"].startswith('declare memory_management = "automatic"')
    undeclared = {one["message"]: one["advice"] for one in json.loads(said)["findings"] if one["rule"] == "OLL510"}
    [advice] = [advice for message, advice in undeclared.items() if message.startswith('"chat:local"')]
    assert "ollama rm" not in advice
    [sent] = [message for message in undeclared if message.startswith('"mine:my-cloud"')]
    assert sent.endswith("Ollama sends every call of this name to mine:my on ollama.com: copy it to another tag")
    code, said = policy(ollama, "fit", "--memory", "16GiB", "--format", "json", declared)
    [server] = json.loads(said)["servers"]
    assert (code, server["unknown"], server["models"]) == (0, [], [])
    assert [one["name"] for one in server["elsewhere"]] == ["far:latest", "gpt-oss:120b-cloud"]
    _, said = policy(ollama, "fit", "--memory", "16GiB", declared)
    assert f"far:latest ({declared}:1:" in said
    assert "needs no memory here, it runs on" in said
    assert asked(ollama, since) == 0


@pytest.mark.usefixtures("all_kinds")
def test_what_no_call_reaches_or_nothing_loads_is_not_known(ollama: OllamaServer, tmp_path: Path) -> None:
    declared = tmp_path / "models.yaml"
    declared.write_text(json.dumps({"models": [{"name": "mine:my-cloud"}, {"name": "painter"} | MANUAL]}))
    since = ollama.mark()
    code, said = policy(ollama, "fit", "--memory", "16GiB", declared)
    assert code == 2
    assert "not known: mine:my-cloud: Ollama sends every call of this name to mine:my on ollama.com" in said
    assert "not known: painter:latest generates images, and this version of Ollama does not load such models" in said
    assert asked(ollama, since) == 1, "what painter is, and nothing of the other"


def test_of_a_safetensors_model_it_is_said_what_cannot_be_known(run: Run, ollama: OllamaServer, tmp_path: Path) -> None:
    write_safetensors(ollama, "mlx")
    since = ollama.mark()
    declared = tmp_path / "models.yaml"
    declared.write_text(json.dumps({"models": [{"name": "mlx"} | MANUAL]}))
    code, said = policy(ollama, "fit", "--memory", "16GiB", declared)
    assert (code, "not known: it is a safetensors model: Ollama runs it with MLX" in said) == (2, True)
    assert "up to 8 GiB is added, which no variable bounds" in said
    _, written = policy(ollama, "adopt")
    assert "# Memory: it is a safetensors model" in written
    with pytest.raises(UnplacedError, match=r"the load of mlx:latest .* MLX runtime is not available"):
        run(lambda lifecycle: lifecycle.create({"name": "mlx"} | MANUAL))
    assert count(ollama, since, "/api/embed") == 0


@pytest.mark.parametrize("command", [["probe"], ["bench", "pinned"]], ids=["probe", "bench"])
def test_no_prompt_is_sent_to_a_cloud_model(ollama: OllamaServer, command: list[str]) -> None:
    make_remote(ollama, "far")
    since = ollama.mark()
    result = CliRunner().invoke(cli, [*command, "far", "--host", ollama.url])
    assert (result.exit_code, f"it runs on {REMOTE_HOST} as gpt-oss:120b" in result.stderr) == (2, True), result.output
    assert asked(ollama, since) == 0


@pytest.mark.parametrize("command", [["probe"], ["probe", "--plan"], ["bench", "pinned"]], ids=" ".join)
def test_no_prompt_is_sent_to_a_model_that_only_embeds(
    ollama: OllamaServer, tmp_path: Path, command: list[str]
) -> None:
    file = tmp_path / "embedder.gguf"
    write_architecture(file, "bert", Shape())
    ollama.create_from_gguf("embedder", file)
    since = ollama.mark()
    result = CliRunner().invoke(cli, [*command, "embedder", "--host", ollama.url])
    assert (result.exit_code, "it is an embedding model, which answers no prompt" in result.stderr) == (2, True)
    assert count(ollama, since, "/api/generate") == 0
