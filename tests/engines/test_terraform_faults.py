"""What must hold with the real Terraform when things break: interruptions, dead servers, bad input, secrets."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import TerraformMaker
from tests.engines.faulty_ollama import (
    FakeOllamaWithFaults,
    Fault,
    cut_stream,
    error_line,
    garbage,
    html,
    no_success,
    slow_no_progress,
    stall,
    status,
)
from tests.engines.kinds import REMOTE_HOST, copy, make_remote
from tests.engines.observing import NOTHING_ANSWERS, count, installed, pinned, resident, wait_until
from tests.engines.ollama_server import OllamaServer, free_port
from tests.engines.registry import Registry
from tests.engines.terraform_stack import Running, TerraformStack, configuration, resource
from tests.promptness import assert_took_less

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
    running.wait(60)
    assert_took_less(1.5, began)  # a second, and Terraform's own end
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
    running.wait(60)
    if running.returncode:  # the load may have been quicker
        assert stack.is_tainted(M)
        assert list(installed(ollama)) == [big["name"]]
    pulls = len(registry.requests)
    stack.apply()
    assert (list(installed(ollama)), pinned(ollama)) == ([big["name"]], [big["name"]])
    assert len(registry.requests) == pulls, "no second download"
    assert stack.plan().planned == {}


def test_ctrl_c_in_the_pull_of_a_new_name_leaves_the_old_one_as_it_was(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, big: dict[str, Any]
) -> None:
    old = registry.reference("tiny:latest")
    stack = terraform_of(configuration(m=big | {"name": old}))
    stack.apply()
    before = stack.state()
    stack.configure(configuration(m=big))
    running = start_apply(stack)
    wait_until(lambda: registry.blob_bytes_served() > 6_000_000, "the pull is under way")
    os.killpg(running.pid, signal.SIGINT)
    running.wait(60)
    assert (stack.state(), list(installed(ollama)), pinned(ollama)) == (before, [old], [old])
    registry.bytes_per_second = None
    assert stack.apply().applied == {M: "update"}
    assert (list(installed(ollama)), pinned(ollama)) == ([big["name"]], [big["name"]])


def test_a_created_model_whose_load_failed_is_kept_and_replaced_without_a_second_download(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry
) -> None:
    model = {"name": registry.reference("tiny:latest"), "insecure": True, "memory_management": "manual"}
    stack = terraform_of(configuration(m=model | {"timeouts": {"load": "1ms"}}))
    [error] = stack.apply(check=False).errors
    assert error.summary == "The model is there, and memory is not as declared"
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


def test_a_tainted_model_that_is_untainted_is_placed_by_an_update(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry
) -> None:
    model = {"name": registry.reference("tiny:latest"), "insecure": True, "memory_management": "manual"}
    stack = terraform_of(configuration(m=model | {"timeouts": {"load": "1ms"}}))
    stack.apply(check=False)
    stack.run("untaint", M)
    pulls = len(registry.requests)
    stack.configure(configuration(m=model))
    assert stack.apply().applied == {M: "update"}
    assert (pinned(ollama), stack.state()[M]["drift"]) == ([model["name"]], "")
    assert len(registry.requests) == pulls
    assert stack.plan().planned == {}


def test_a_model_that_does_not_load_is_not_pulled_twice(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, tiny: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    registry.push("broken:latest", broken)
    model = {"name": registry.reference("broken:latest"), "insecure": True}
    stack = terraform_of(configuration(m=model | {"memory_management": "manual"}))
    [error] = stack.apply(check=False).errors
    assert "loading model: unknown model architecture: 'lemma'" in error.detail
    pulls = len(registry.requests)
    [error] = stack.apply(check=False).errors
    assert "loading model: unknown model architecture: 'lemma'" in error.detail
    assert stack.is_tainted(M)
    stack.configure(configuration(m=model))
    assert stack.apply().applied[M] == "create"
    assert len(registry.requests) == pulls
    assert (list(installed(ollama)), resident(ollama)) == ([model["name"]], [])


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
    running.wait(60)
    wait_until(lambda: not stack.strays(), "no plugin process stays")
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
    wait_until(lambda: not stack.strays(), "no plugin process stays")
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
    assert error.detail.endswith(f": {NOTHING_ANSWERS}")
    stack = terraform_of(configuration(m=model))
    stack.apply()
    before = stack.state()
    ollama.stop()
    try:
        [error] = stack.plan(check=False).errors
        assert error.summary == "The server does not answer"
        assert error.detail == f"{ollama.url}: {NOTHING_ANSWERS}"
        assert stack.plan("-refresh=false").planned == {}
        assert stack.state() == before
    finally:
        ollama.start()


FAULTS_OF_A_PULL: dict[str, tuple[Fault, str]] = {
    "error_line": (
        error_line("pull model manifest: this registry is closed"),
        "the server says: pull model manifest: this registry is closed",
    ),
    "busy": (status(503, {"error": "server busy, please try again"}), "HTTP 503, server busy, please try again"),
    "unknown": (status(404, {"error": "model 'x' not found"}), "HTTP 404, model 'x' not found"),
    "cut": (cut_stream(), "the connection broke off: "),
    "garbage": (garbage(), "this does not look like Ollama, it sent a line that is not a JSON object: '<html>"),
    "portal": (html(), "this does not look like Ollama, it sent a line that is not a JSON object: '<!DOCTYPE html>"),
    "no_success": (
        no_success(),
        "the answer ended without success; the last status was 'verifying sha256 digest'",
    ),
    "stall": (stall(), "not done within 2s; what was downloaded stays for the next try"),
    "no_progress": (slow_no_progress(), "not done within 2s; what was downloaded stays for the next try"),
}


def test_each_fault_of_a_pull_is_one_error_in_the_servers_own_words_and_nothing_is_in_the_state(
    terraform_of: TerraformMaker,
) -> None:
    with ExitStack() as fakes:
        models, urls = {}, {}
        for label, (fault, words) in FAULTS_OF_A_PULL.items():
            fake = fakes.enter_context(FakeOllamaWithFaults())
            fake.answer("POST", "/api/pull", fault)
            urls[label] = fake.url
            pull = "2s" if "2s" in words else "1m"
            models[label] = {"name": "a-model", "host": fake.url, "timeouts": {"pull": pull}}
        stack = terraform_of(configuration(**models))
        errors = stack.apply(check=False).errors
    found = {error.snippet.split('"')[3]: error for error in errors}
    assert len(errors) == len(found) == len(FAULTS_OF_A_PULL)
    for label, (_, words) in FAULTS_OF_A_PULL.items():
        assert found[label].detail.startswith(f"{urls[label]}: {words}")
        assert found[label].summary in ("The pull of a-model:latest failed", "The making of a-model:latest failed")
    assert stack.state() == {}


def test_one_server_of_a_fleet_that_is_down_holds_up_its_own_models_alone(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    nobody = f"http://127.0.0.1:{free_port()}"
    stack = terraform_of(configuration(m={"name": "tiny", "host": ollama.url}, down={"name": "tiny", "host": nobody}))
    outcome = stack.apply(check=False)
    [error] = outcome.errors
    assert error.detail == f"{nobody}: {NOTHING_ANSWERS}"
    assert (outcome.applied, list(stack.state())) == ({M: "create"}, [M])


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("NO_PROXY", "fd00::/8,[::1]", "no connection: nothing answers there (name not found); start Ollama there"),
        ("ALL_PROXY", "socks5h://127.0.0.1:1080", "no connection: ALL_PROXY names the SOCKS proxy socks5h://127.0.0.1"),
    ],
)
def test_the_variables_of_proxies_are_no_defect(
    terraform_of: TerraformMaker, variable: str, value: str, words: str
) -> None:
    host = "http://gpu1.invalid:11434"
    stack = terraform_of(configuration(m={"name": "a-model"}), OLLAMA_HOST=host, **{variable: value})
    [error] = stack.apply(check=False).errors
    assert error.detail.startswith(f"{host}: {words}")


def test_a_server_that_is_too_old_or_no_ollama_is_one_error_before_anything_is_done(
    terraform_of: TerraformMaker,
) -> None:
    with FakeOllamaWithFaults(version="0.1.9") as old, FakeOllamaWithFaults() as other:
        other.answer("GET", "/api/version", html())
        models = {"old": {"name": "a", "host": old.url}, "other": {"name": "a", "host": other.url}}
        errors = terraform_of(configuration(**models)).apply(check=False).errors
        said = "\n".join(error.detail for error in errors)
        assert len(errors) == len(models)
        assert f"{old.url}: Ollama 0.1.9 is too old" in said
        assert f"{other.url}: this does not look like Ollama" in said
        assert all(request.method == "GET" for fake in (old, other) for request in fake.requests)


def test_a_second_ctrl_c_is_not_needed_where_a_pull_stalls(terraform_of: TerraformMaker) -> None:
    with FakeOllamaWithFaults() as fake:
        fake.answer("POST", "/api/pull", stall())
        stack = terraform_of(configuration(m={"name": "a-model"}), OLLAMA_HOST=fake.url)
        running = start_apply(stack)
        wait_until(lambda: any(request.path == "/api/pull" for request in fake.requests), "the pull begins")
        os.killpg(running.pid, signal.SIGINT)
        began = time.monotonic()
        running.wait(60)
        assert_took_less(1.5, began)


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
        "use resident instead",
    ),
    ({"name": "a", "resident": True}, "Wrong resident", "use keep_alive instead"),
    ({"name": "a", "parameters": {"num_ctx": 1}}, "Wrong parameters", "a base or a gguf that it belongs to"),
    ({"name": "a", "base": "b", "parameters": {"num_ctxx": 1}}, "Wrong parameters", "did you mean 'num_ctx'?"),
    ({"name": "a", "base": "b", "gguf": "/dev/null"}, "Wrong gguf", "either base or gguf"),
    ({"name": "chat:local"}, "Wrong name", "expected a tag other than local: from 0.18.0 on Ollama drops it"),
    ({"name": "a", "base": "b:local"}, "Wrong base", "and reaches b:latest"),
    ({"name": "a:b-cloud", "base": "b"}, "Wrong name", "sends every call of this name to a:b on ollama.com"),
    ({"name": "a:cloud", "memory_management": "manual"}, "Wrong memory_management", 'found "manual", expected "auto'),
    ({"name": "a", "gguf": "/dev/null"}, "Wrong gguf", "expected a GGUF file"),
    ({"name": "a", "gguf": __file__}, "Wrong gguf", "expected a GGUF file"),
    ({"name": "a", "host": "http://me:hunter2@gpu"}, "Wrong host", "give the secret as a token or a header instead"),
    ({"name": "a", "digest": "abc"}, "Wrong digest", "64 hex digits"),
    ({"name": "a", "timeouts": {"load": "0s"}}, "Wrong timeouts.load", "a duration over zero"),
]


def test_bad_input_is_one_error_at_its_attribute_before_any_server_is_asked(terraform_of: TerraformMaker) -> None:
    models = {f"m{number}": attributes for number, (attributes, _, _) in enumerate(BAD_INPUT)}
    text = configuration(**models)
    stack = terraform_of(text, OLLAMA_HOST=f"127.0.0.1:{free_port()}")
    outcome = stack.validate()
    lines = text.splitlines()
    for number, (_, summary, words) in enumerate(BAD_INPUT):
        head = lines.index(f'resource "ollama_model" "m{number}" {{') + 1
        end = lines.index("}", head) + 1
        here = [e for e in outcome.errors if head <= int(e.place.rpartition(":")[2]) <= end]
        assert any(error.summary == summary and words in error.detail for error in here), (summary, here)
        [error] = [error for error in here if error.summary == summary and words in error.detail]
        assert error.snippet.startswith(summary.removeprefix("Wrong ").rpartition(".")[2]), error
    assert "hunter2" not in "".join(error.detail for error in outcome.errors)


def test_what_is_wrong_only_at_the_apply_is_an_error_at_its_attribute_there(
    terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    bad: dict[str, Any] = {"name": "a b", "keep_alive": "10 minutes", "memory_management": "auto", "digest": "abc"}
    bad |= {"host": "http://me:hunter2@gpu", "pull_policy": "x", "on_destroy": "x", "base": "a b"}
    bad |= {"gguf": "/nowhere.gguf", "parameters": {"num_ctxx": 1}}
    text = f'resource "terraform_data" "late" {{\n  input = {json.dumps(json.dumps(bad))}\n}}\n'
    for key in bad:
        base = {"base": "b"} if key == "parameters" else {}
        text += resource(key, {"name": f"a-{key}"} | base | {key: f"=jsondecode(terraform_data.late.output).{key}"})
    stack = terraform_of(text)
    assert len(stack.plan().planned) == 1 + len(bad)
    since = ollama.mark()
    errors = stack.apply(check=False).errors
    assert {error.summary: error.snippet.split()[0] for error in errors} == {f"Wrong {key}": key for key in bad}
    assert "hunter2" not in "".join(error.detail for error in errors)
    assert list(stack.state()) == ["terraform_data.late"]
    assert ollama.requests(since) == []


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


def test_a_credential_goes_to_the_server_of_the_provider_and_to_no_host_of_a_resource(
    terraform_of: TerraformMaker, tmp_path: Path
) -> None:
    """A canary for each: the token and the headers of the configuration, OLLAMA_API_KEY, a netrc's default."""
    (tmp_path / ".netrc").write_text("default login me password canary-of-netrc\n")
    with FakeOllamaWithFaults() as own, FakeOllamaWithFaults() as other:
        other.answer("GET", "/api/ps", status(401, {"error": "unauthorized"}))
        text = configuration(m={"name": "a-model", "host": other.url, "pull_policy": "never"})
        text += f'data "ollama_models" "here" {{}}\ndata "ollama_models" "there" {{\n  host = "{other.url}"\n}}\n'
        for provider in ("", 'provider "ollama" {\n  token   = "canary"\n  headers = { X-Key = "canary" }\n}\n'):
            stack = terraform_of(
                provider + text, OLLAMA_HOST=own.url, OLLAMA_API_KEY="canary-of-key", NETRC=str(tmp_path / ".netrc")
            )
            failed = stack.apply(check=False)
            assert any("it was asked without a credential" in error.detail for error in failed.errors)
        assert all("Authorization" in request.headers for request in own.requests)
        assert own.requests
        assert other.requests
        assert not any("canary" in value for request in other.requests for value in request.headers.values())


def test_a_cloud_model_that_is_to_be_held_is_refused_without_a_wait_and_without_a_call(
    terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    make_remote(ollama, "far")
    since = ollama.mark()
    stack = terraform_of(configuration(m={"name": "far", "memory_management": "manual"}))
    for _ in range(2):
        [error] = stack.apply(check=False).errors
        assert error.summary == "The load of far:latest failed"
        words = f"far:latest runs on {REMOTE_HOST} as gpt-oss:120b: this server does not hold it in memory"
        assert error.detail.startswith(f"{ollama.url}: {words}")
        assert stack.state() == {}, "nothing is tainted, and so nothing destroyed by the next apply"
    stack.configure(configuration(m={"name": "far", "keep_alive": "5m", "on_destroy": "keep"}))
    stack.apply()
    assert stack.plan("-detailed-exitcode").planned == {}
    assert [count(ollama, since, path) for path in ("/api/generate", "/api/embed", "/api/show")] == [0, 0, 0]


def test_a_destroy_of_a_local_tag_that_an_older_state_has_deletes_no_other_model(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("chat", tiny)
    copy(ollama, "chat", "chat:local")
    stack = terraform_of(configuration(m={"name": "chat"}))
    stack.apply()
    file = stack.project / "terraform.tfstate"
    file.write_text(file.read_text().replace('"name": "chat"', '"name": "chat:local"'))
    stack.configure(configuration())
    [error] = stack.apply(check=False).errors
    assert error.summary == "The deletion of chat:local failed"
    assert "takes chat:local for chat:latest, and would delete that" in error.detail
    assert sorted(installed(ollama)) == ["chat:latest", "chat:local"]
