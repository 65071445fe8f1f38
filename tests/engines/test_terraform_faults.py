"""What must hold with the real Terraform when things break: interruptions, dead servers, bad input, secrets."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import TerraformMaker
from tests.engines.faulty_ollama import FakeOllamaWithFaults, error_line, stall
from tests.engines.observing import installed, pinned, resident, wait_until
from tests.engines.ollama_server import OllamaServer, free_port
from tests.engines.registry import Registry
from tests.engines.terraform_stack import Running, TerraformStack, configuration

pytestmark = pytest.mark.engines
M = "ollama_model.m"


@pytest.fixture
def big(registry: Registry, ggufs: Callable[..., Path]) -> dict[str, Any]:
    """A model whose pull takes several seconds: 26 MB at 4 MB/s."""
    registry.push("big:latest", ggufs(7, layers=8, width=512))
    registry.bytes_per_second = 4_000_000
    return {"name": registry.reference("big:latest"), "insecure": True, "memory_management": "manual"}


def start_apply(stack: TerraformStack) -> Running:
    return stack.start("apply", "-auto-approve")


def no_second_download(registry: Registry, ggufs: Callable[..., Path], interruptions: int) -> bool:
    # What was on its way when the client left is sent and not kept: at most a part for each of Ollama's streams.
    size = ggufs(7, layers=8, width=512).stat().st_size
    return registry.blob_bytes_served() < size * (1 + 0.4 * interruptions)


def plugins(stack: TerraformStack) -> list[psutil.Process]:
    return [process for process in stack.strays() if any("terraform-provider-ollama" in a for a in process.cmdline())]


def loading(ollama: OllamaServer) -> Callable[[], bool]:
    return lambda: bool(ollama.runners())


def test_ctrl_c_in_a_pull_stops_within_a_second_and_the_next_apply_goes_on(
    terraform_of: TerraformMaker,
    ollama: OllamaServer,
    registry: Registry,
    big: dict[str, Any],
    ggufs: Callable[..., Path],
) -> None:
    stack = terraform_of(configuration(m=big))
    running = start_apply(stack)
    wait_until(lambda: registry.blob_bytes_served() > 6_000_000, "the pull is under way")
    os.killpg(running.pid, signal.SIGINT)
    began = time.monotonic()
    running.wait(15)
    assert time.monotonic() - began < 1.5  # a second, and Terraform's own end
    said = [error.summary for error in running.outcome().errors]
    assert "Stopped on request; the next apply goes on from here" in said
    assert (stack.strays(), installed(ollama), stack.state()) == ([], {}, {})
    registry.bytes_per_second = None
    assert stack.apply().applied == {M: "create"}
    assert pinned(ollama) == [big["name"]]
    assert no_second_download(registry, ggufs, 1)


def test_ctrl_c_in_a_load_loses_no_created_model(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, big: dict[str, Any]
) -> None:
    registry.bytes_per_second = None
    stack = terraform_of(configuration(m=big))
    running = start_apply(stack)
    wait_until(loading(ollama), "the load begins")
    os.killpg(running.pid, signal.SIGINT)
    running.wait(15)
    if running.returncode:  # the load may have been quicker
        assert stack.is_tainted(M)
        assert list(installed(ollama)) == [big["name"]]
    pulls = len(registry.requests)
    stack.apply()
    assert (list(installed(ollama)), pinned(ollama)) == ([big["name"]], [big["name"]])
    assert len(registry.requests) == pulls, "no second download"
    assert stack.plan().planned == {}


def test_a_created_model_whose_load_failed_is_kept_and_replaced_without_a_second_download(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry
) -> None:
    model = {"name": registry.reference("tiny:latest"), "insecure": True, "memory_management": "manual"}
    stack = terraform_of(configuration(m=model | {"timeouts": {"load": "1ms"}}))
    [error] = stack.apply(check=False).errors
    assert error.summary == "The model is there, and not in memory as declared"
    assert "not done within 1ms" in error.detail
    assert stack.is_tainted(M)
    assert stack.state()[M]["drift"].startswith("created, and never placed in memory")
    pulls = len(registry.requests)
    stack.configure(configuration(m=model))
    outcome = stack.apply()
    assert outcome.planned == {M: "replace"}
    assert len(registry.requests) == pulls
    assert pinned(ollama) == [model["name"]]
    assert stack.plan().planned == {}


def test_a_tainted_model_is_deleted_by_a_destroy(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry
) -> None:
    model = {"name": registry.reference("tiny:latest"), "insecure": True, "memory_management": "manual"}
    stack = terraform_of(configuration(m=model | {"timeouts": {"load": "1ms"}}))
    stack.apply(check=False)
    assert stack.destroy().applied == {M: "delete"}
    assert (installed(ollama), resident(ollama)) == ({}, [])


@pytest.mark.parametrize("victim", ["terraform", "plugin"])
def test_kill_9_in_a_pull_stops_the_pull_and_the_next_apply_goes_on(
    terraform_of: TerraformMaker,
    ollama: OllamaServer,
    registry: Registry,
    big: dict[str, Any],
    ggufs: Callable[..., Path],
    victim: str,
) -> None:
    stack = terraform_of(configuration(m=big))
    running = start_apply(stack)
    wait_until(lambda: registry.blob_bytes_served() > 6_000_000, "the pull is under way")
    if victim == "terraform":
        running.kill()
    else:
        [plugin] = plugins(stack)
        plugin.kill()
    running.wait(15)
    wait_until(lambda: not stack.strays(), "no plugin process stays", 5)
    time.sleep(1.5)
    served = registry.blob_bytes_served()
    time.sleep(1)
    assert registry.blob_bytes_served() == served, "nobody pulls for an engine that is dead"
    registry.bytes_per_second = None
    (stack.project / ".terraform.tfstate.lock.info").unlink(missing_ok=True)
    stack.apply()
    assert (list(installed(ollama)), pinned(ollama)) == ([big["name"]], [big["name"]])
    assert no_second_download(registry, ggufs, 1)


@pytest.mark.parametrize("victim", ["terraform", "plugin", "server"])
def test_kill_9_in_a_load_leaves_what_the_next_apply_goes_on_from(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, big: dict[str, Any], victim: str
) -> None:
    registry.bytes_per_second = None
    stack = terraform_of(configuration(m=big))
    running = start_apply(stack)
    wait_until(loading(ollama), "the load begins")
    if victim == "terraform":
        running.kill()
    elif victim == "plugin":
        plugins(stack)[0].kill()
    else:
        ollama.kill()
    running.wait(30)
    assert running.returncode != 0
    if victim == "server":
        assert "Traceback" not in running.outcome().text
        ollama.start()
    wait_until(lambda: not stack.strays(), "no plugin process stays", 5)
    pulls = len(registry.requests)
    stack.apply()
    assert (list(installed(ollama)), pinned(ollama)) == ([big["name"]], [big["name"]])
    assert len(ollama.runners()) == 1
    assert len(registry.requests) == pulls
    assert stack.plan().planned == {}


def test_a_plan_of_new_models_needs_no_server_and_a_refresh_without_one_keeps_the_state(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry
) -> None:
    model = {"name": registry.reference("tiny:latest"), "insecure": True}
    offline = terraform_of(configuration(m=model), OLLAMA_HOST=f"127.0.0.1:{free_port()}")
    assert offline.plan().planned == {M: "create"}
    [error] = offline.apply(check=False).errors
    assert "no connection" in error.detail
    stack = terraform_of(configuration(m=model))
    stack.apply()
    before = stack.state()
    ollama.stop()
    try:
        [error] = stack.plan(check=False).errors
        assert error.summary == "The list of models failed"
        assert f"{ollama.url}: no connection" in error.detail
        assert stack.plan("-refresh=false").planned == {}
        assert stack.state() == before
    finally:
        ollama.start()


def test_an_error_line_inside_http_200_is_shown_in_the_servers_own_words(terraform_of: TerraformMaker) -> None:
    with FakeOllamaWithFaults() as fake:
        fake.answer("POST", "/api/pull", error_line("pull model manifest: this registry is closed"))
        stack = terraform_of(configuration(m={"name": "a-model"}), OLLAMA_HOST=fake.url)
        [error] = stack.apply(check=False).errors
    assert error.summary == "The pull of a-model:latest failed"
    assert error.detail == f"{fake.url}: the server says: pull model manifest: this registry is closed"
    assert error.place == "main.tf:1"


def test_a_second_ctrl_c_is_not_needed_where_a_pull_stalls(terraform_of: TerraformMaker) -> None:
    with FakeOllamaWithFaults() as fake:
        fake.answer("POST", "/api/pull", stall())
        stack = terraform_of(configuration(m={"name": "a-model"}), OLLAMA_HOST=fake.url)
        running = start_apply(stack)
        wait_until(lambda: any(request.path == "/api/pull" for request in fake.requests), "the pull begins")
        os.killpg(running.pid, signal.SIGINT)
        began = time.monotonic()
        running.wait(15)
        assert time.monotonic() - began < 1.5


BAD_INPUT: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "a b"}, "Wrong name", 'found "a b", expected a model name'),
    ({"name": ""}, "Wrong name", 'found "", expected a model name'),
    ({"name": "a", "keep_alive": "10 minutes"}, "Wrong keep_alive", 'found "10 minutes", expected a Go duration'),
    ({"name": "a", "keep_alive": "-1"}, "Wrong keep_alive", 'memory_management = "manual"'),
    ({"name": "a", "keep_alive": "1.5 days"}, "Wrong keep_alive", "expected a Go duration"),
    ({"name": "a", "memory_management": "auto"}, "Wrong memory_management", "did you mean 'automatic'?"),
    ({"name": "a", "memory_management": "Manual"}, "Wrong memory_management", "did you mean 'manual'?"),
    (
        {"name": "a", "memory_management": "manual", "keep_alive": "5m"},
        "Wrong keep_alive",
        "companion there is resident",
    ),
    ({"name": "a", "resident": True}, "Wrong resident", "its companion there is keep_alive"),
    ({"name": "a", "parameters": {"num_ctx": 1}}, "Wrong parameters", "a base or a gguf that it belongs to"),
    ({"name": "a", "base": "b", "parameters": {"num_ctxx": 1}}, "Wrong parameters", "did you mean 'num_ctx'?"),
    ({"name": "a", "base": "b", "gguf": "/nowhere.gguf"}, "Wrong gguf", "either base or gguf"),
    ({"name": "a", "gguf": "/nowhere.gguf"}, "Wrong gguf", "No such file or directory"),
    ({"name": "a", "host": "http://me:hunter2@gpu"}, "Wrong host", "give the secret as a token or a header instead"),
    ({"name": "a", "digest": "abc"}, "Wrong digest", "64 hex digits"),
    ({"name": "a", "timeouts": {"load": "0s"}}, "Wrong timeouts.load", "a duration over zero"),
]


def test_bad_input_is_one_error_at_its_attribute_before_any_server_is_asked(terraform_of: TerraformMaker) -> None:
    models = {f"m{number}": attributes for number, (attributes, _, _) in enumerate(BAD_INPUT)}
    text = configuration(**models)
    stack = terraform_of(text, OLLAMA_HOST=f"127.0.0.1:{free_port()}")
    outcome = stack.plan(check=False)
    lines = text.splitlines()
    for number, (_, summary, words) in enumerate(BAD_INPUT):
        head = lines.index(f'resource "ollama_model" "m{number}" {{') + 1
        end = lines.index("}", head) + 1
        here = [e for e in outcome.errors if head <= int(e.place.rpartition(":")[2]) <= end]
        assert any(error.summary == summary and words in error.detail for error in here), (summary, here)
        [error] = [error for error in here if error.summary == summary and words in error.detail]
        assert error.snippet.startswith(summary.removeprefix("Wrong ").rpartition(".")[2]), error
    assert "hunter2" not in "".join(error.detail for error in outcome.errors)


def test_what_is_wrong_only_at_the_apply_is_an_error_there(terraform_of: TerraformMaker, ollama: OllamaServer) -> None:
    text = 'resource "terraform_data" "late" {\n  input = "10 minutes"\n}\n'
    text += configuration(m={"name": "a", "keep_alive": "=terraform_data.late.output"})
    stack = terraform_of(text)
    assert stack.plan().planned[M] == "create"
    [error] = stack.apply(check=False).errors
    assert error.summary == "Wrong keep_alive"
    assert error.place == "main.tf:6"


def test_a_secret_is_sent_to_the_server_and_is_nowhere_else(terraform_of: TerraformMaker, ollama: OllamaServer) -> None:
    token, header = "s3cret-token", "s3cret-header"
    text = """
variable "token" {
  type      = string
  ephemeral = true
}
variable "key" {
  type      = string
  ephemeral = true
}
provider "ollama" {
  token   = var.token
  headers = { X-Proxy-Key = var.key }
}
"""
    with FakeOllamaWithFaults() as fake:
        fake.answer("POST", "/api/pull", error_line(f"who is Bearer {token} with {header}?"))
        stack = terraform_of(
            text + configuration(m={"name": "a-model"}),
            OLLAMA_HOST=fake.url,
            TF_VAR_token=token,
            TF_VAR_key=header,
            TF_LOG="trace",
            TF_LOG_PATH="terraform-log",
        )
        stack.plan("-out=saved")
        [error] = stack.apply(check=False).errors
        sent = [{key.lower(): value for key, value in request.headers.items()} for request in fake.requests]
    assert sent
    assert all(headers["authorization"] == f"Bearer {token}" for headers in sent)
    assert all(headers["x-proxy-key"] == header for headers in sent)
    assert "who is Bearer *** with ***?" in error.detail
    assert (stack.project / "terraform-log").stat().st_size > 10_000
    for file in filter(Path.is_file, stack.folder.rglob("*")):
        assert not any(secret.encode() in file.read_bytes() for secret in (token, header)), file
