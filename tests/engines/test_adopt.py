"""`ollama-policy adopt`: what it writes of a real Ollama changes nothing, to a real Terraform and a real Pulumi."""

import re
import site
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ollama_policy.cli import cli
from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import call, count, installed, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry

pytestmark = pytest.mark.engines
TOKEN = "not-to-be-written-anywhere"
CHANGES = ("/api/pull", "/api/generate", "/api/create", "/api/copy", "/api/delete", "/api/embed", "/api/chat")


@pytest.fixture
def held(ollama: OllamaServer, registry: Registry, ggufs: Callable[..., Path]) -> dict[str, str]:
    """A server that holds models of all kinds. Their digests.

    A pulled and pinned one, uploaded ones whose names are alike, variants, of which one is pinned with a context of its
    own, one of another registry, one with a timer.
    """
    pulled = registry.reference("tiny:latest")
    ollama.call("POST", "/api/pull", {"model": pulled, "insecure": True, "stream": False}).raise_for_status()
    ollama.create_from_gguf("a.b:8b", ggufs(1))
    ollama.create_from_gguf("a-b:8b", ggufs(2))
    ollama.create_from_gguf("3d", ggufs(3))
    for name, fields in (("derived", {"system": "be brief"}), ("small", {"parameters": {"num_ctx": 512}})):
        body = {"model": name, "from": "3d", "stream": False} | fields
        ollama.call("POST", "/api/create", body).raise_for_status()
    elsewhere = {"source": "a.b:8b", "destination": "registry.example:5000/you/a_b:8B-v1.0"}
    ollama.call("POST", "/api/copy", elsewhere).raise_for_status()
    call(ollama, pulled, keep_alive=-1)
    call(ollama, "small", keep_alive=-1)
    call(ollama, "a-b:8b", keep_alive="30m")
    return installed(ollama)


def memory(ollama: OllamaServer) -> list[dict[str, Any]]:
    """/api/ps in an order of ours: what expires in the same second comes in any."""
    return sorted(ollama.ps(), key=lambda model: str(model["name"]))


def adopt(ollama: OllamaServer, *arguments: str) -> str:
    environment = {"OLLAMA_HOST": ollama.url, "OLLAMA_API_KEY": TOKEN}
    before, since = memory(ollama), ollama.mark()
    result = CliRunner().invoke(cli, ["adopt", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    assert memory(ollama) == before, "not even a timer was re-armed"
    asked = {request.path for request in ollama.requests(since)}
    assert asked <= {"/api/version", "/api/tags", "/api/ps", "/api/show"}
    assert TOKEN not in result.output
    return result.stdout


@pytest.mark.parametrize("has_host", [False, True], ids=["host of the environment", "host of its own"])
def test_terraform_imports_it_and_changes_nothing(
    terraform_of: TerraformMaker, ollama: OllamaServer, held: dict[str, str], has_host: bool
) -> None:
    written = adopt(ollama, *(["--host", ollama.url] if has_host else []))
    stack = terraform_of(written)
    assert stack.run("fmt", "-check").returncode == 0
    assert has_host == (f'provider "ollama" {{\n  host = "{ollama.url}"\n}}\n' in written)
    checked = CliRunner().invoke(cli, ["check", str(stack.project / "main.tf")])
    assert checked.exit_code == 0, checked.output
    before = memory(ollama)
    since = ollama.mark()
    plan = stack.plan()
    assert set(plan.planned.values()) == {"import"}, plan.text
    assert "7 to import, 0 to add, 0 to change, 0 to destroy" in plan.text
    stack.apply()
    assert stack.plan("-detailed-exitcode").planned == {}
    assert sum(count(ollama, since, path) for path in CHANGES) == 0
    assert (memory(ollama), installed(ollama)) == (before, held)
    state = stack.state()
    assert {one["name"]: one["digest"] for one in state.values()} == held
    manual = [one["name"] for one in state.values() if one["memory_management"] == "manual"]
    assert sorted(manual) == sorted(pinned(ollama))
    assert state["ollama_model.small"]["pinned"]
    assert {one["keep_alive"] for one in state.values()} == {None, "5m", "30m"}
    stack.destroy()
    assert (installed(ollama), ollama.ps()) == (held, [])


def test_pulumi_takes_it_over_and_changes_nothing(
    stack_of: StackMaker, ollama: OllamaServer, held: dict[str, str]
) -> None:
    stack = stack_of(adopt(ollama, "--engine", "pulumi"))
    before = memory(ollama)
    since = ollama.mark()
    assert stack.up().changes == {"create": 8}
    assert stack.preview("--refresh", "--expect-no-changes").changes == {"same": 8}
    assert sum(count(ollama, since, path) for path in CHANGES) == 0
    assert (memory(ollama), installed(ollama)) == (before, held)


def test_an_import_by_command_says_how_to_adopt(stack_of: StackMaker, ollama: OllamaServer, tiny: Path) -> None:
    started = [path for path in site.getsitepackages() if list(Path(path).glob("*ollama_iac.pth"))]
    if not started:
        pytest.skip("this environment was made before ollama_iac.pth: `pip install --editable .` installs it")
    ollama.create_from_gguf("tiny", tiny)
    stack = stack_of('from ollama_provider import OllamaModel\nOllamaModel("m", name="tiny")\n')
    failed = stack.run("import", "--yes", "pulumi-python:dynamic/ollama:Model", "m", "tiny", check=False)
    assert failed.returncode != 0
    assert "`ollama-policy adopt --engine pulumi` writes the declarations" in failed.text
    assert "Traceback" not in failed.text
    other = stack.run("import", "--yes", "pulumi-python:dynamic/other:Thing", "m", "tiny", check=False)
    assert "KeyError: '__provider'" in other.text, "what is not ours is left as it is"


def test_an_import_by_option_says_how_to_adopt(stack_of: StackMaker, ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("tiny", tiny)
    options = 'opts=pulumi.ResourceOptions(import_="tiny")'
    stack = stack_of(
        f'import pulumi\nfrom ollama_provider import OllamaModel\nOllamaModel("m", name="tiny", {options})\n'
    )
    failed = stack.up(check=False)
    assert failed.returncode != 0
    assert "`ollama-policy adopt --engine pulumi` writes the declarations" in failed.text
    assert "Traceback" not in failed.text


def test_only_what_is_in_memory_and_what_there_is_to_say_of_it(
    ollama: OllamaServer, held: dict[str, str], ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    call(ollama, "small", keep_alive=0)  # a fourth runner would evict one
    ollama.create_from_gguf("gone", ggufs(4))
    call(ollama, "gone", keep_alive=-1)
    ollama.call("DELETE", "/api/delete", {"model": "gone"}).raise_for_status()
    written = adopt(ollama, "--only", "resident")
    assert written.count("resource ") == 2
    assert "# gone:latest is in memory and not on disk: `ollama-policy reclaim` frees it.\n" in written
    assert re.search(r"^# In memory for (30m|29m\d+s) more: ", written, re.MULTILINE)
    assert re.search(r"^# Pinned: \d+ MiB by Ollama's count, context 2048\.$", written, re.MULTILINE)
    assert "# Derived from 3d:latest, " in adopt(ollama)
    file = tmp_path / "models.tf"
    assert adopt(ollama, "--only", "resident", "-o", str(file)) == ""
    assert file.read_text().count("import {") == 2


def test_a_server_that_holds_nothing_is_no_change_either(
    terraform_of: TerraformMaker, stack_of: StackMaker, ollama: OllamaServer
) -> None:
    assert "0 models" in adopt(ollama)
    assert terraform_of(adopt(ollama)).plan("-detailed-exitcode").planned == {}
    assert stack_of(adopt(ollama, "--engine", "pulumi")).up().changes == {"create": 1}  # the stack itself
