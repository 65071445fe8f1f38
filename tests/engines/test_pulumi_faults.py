"""What must hold with the real Pulumi when things break: interruptions, dead servers, bad input, secrets."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StackMaker
from tests.engines.faulty_ollama import FakeOllamaWithFaults, error_line, stall, status
from tests.engines.kinds import REMOTE_HOST, make_remote
from tests.engines.observing import NOTHING_ANSWERS, count, installed, pinned, resident, wait_until
from tests.engines.ollama_server import OllamaServer, free_port
from tests.engines.programs import program, steps
from tests.engines.pulumi_stack import PulumiStack, Running
from tests.engines.registry import Registry
from tests.promptness import assert_took_less

pytestmark = pytest.mark.engines


@pytest.fixture
def big(registry: Registry, ggufs: Callable[..., Path]) -> dict[str, Any]:
    """A model whose pull takes several seconds: 26 MB at 4 MB/s."""
    file = ggufs(7, layers=8, width=512)
    registry.push("big:latest", file)
    registry.bytes_per_second = 4_000_000
    return {"name": registry.reference("big:latest"), "insecure": True, "memory_management": "manual"}


def size_of(ggufs: Callable[..., Path]) -> int:
    return ggufs(7, layers=8, width=512).stat().st_size


def start_up(stack: PulumiStack) -> Running:
    return stack.start("up", "--yes", "--skip-preview")


def says(running: Running, text: str) -> Callable[[], bool]:
    return lambda: text in running.output.read_text(errors="replace")


def no_second_download(registry: Registry, ggufs: Callable[..., Path], interruptions: int) -> bool:
    # What was on its way when the client left is sent and not kept: at most a part for each of Ollama's streams.
    return registry.blob_bytes_served() < size_of(ggufs) * (1 + 0.4 * interruptions)


def test_ctrl_c_in_a_pull_stops_within_a_second_and_the_next_up_goes_on(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, big: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    stack = stack_of(program(m=big))
    running = start_up(stack)
    wait_until(lambda: registry.blob_bytes_served() > 6_000_000, "the pull is under way")
    os.killpg(running.pid, signal.SIGINT)
    began = time.monotonic()
    wait_until(says(running, "stopped on request"), "the provider stops")
    assert_took_less(1.5, began)  # a second, and what two looks at a file cost
    running.wait(60)
    assert installed(ollama) == {}
    registry.bytes_per_second = None
    assert steps(stack.up()) == {"m": "create"}
    assert pinned(ollama) == [big["name"]]
    assert no_second_download(registry, ggufs, 1)


def test_a_create_that_fails_after_it_made_the_model_is_in_the_state(
    stack_of: StackMaker, ollama: OllamaServer, tiny: Path, ggufs: Callable[..., Path]
) -> None:
    values = {"name": "mine", "gguf": str(tiny), "memory_management": "manual"}
    stack = stack_of(program(m=values | {"timeouts": {"load": "1ms"}}))
    failed = stack.up(check=False)
    assert "not done within 1ms" in failed.text
    assert "Traceback" not in failed.text
    assert list(installed(ollama)) == ["mine:latest"]
    stack.set_program(program(m=values))
    assert steps(stack.up()) == {"m": "update"}
    assert pinned(ollama) == ["mine:latest"]
    other = values | {"name": "other", "gguf": str(ggufs(1)), "timeouts": {"load": "1ms"}}
    stack.set_program(program(m=values, n=other))
    stack.up(check=False)
    assert sorted(installed(ollama)) == ["mine:latest", "other:latest"]
    stack.destroy()
    assert installed(ollama) == {}


def test_kill_9_of_the_engine_in_a_pull_stops_the_pull_and_the_next_up_goes_on(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, big: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    stack = stack_of(program(m=big))
    running = start_up(stack)
    wait_until(lambda: registry.blob_bytes_served() > 6_000_000, "the pull is under way")
    running.kill()
    running.wait(60)
    time.sleep(3)
    served = registry.blob_bytes_served()
    time.sleep(1)
    assert registry.blob_bytes_served() == served, "nobody pulls for an engine that is dead"
    stack.unlock()
    registry.bytes_per_second = None
    stack.up()
    assert (list(installed(ollama)), pinned(ollama)) == ([big["name"]], [big["name"]])
    assert no_second_download(registry, ggufs, 1)


def test_kill_9_of_the_engine_in_a_load_leaves_what_the_next_up_goes_on_from(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, big: dict[str, Any]
) -> None:
    registry.bytes_per_second = None
    stack = stack_of(program(m=big))
    running = start_up(stack)
    wait_until(says(running, "loading, to stay"), "the load begins")
    running.kill()
    running.wait(60)
    stack.close()
    stack.unlock()
    pulls = len(registry.requests)
    stack.up()
    assert (list(installed(ollama)), pinned(ollama)) == ([big["name"]], [big["name"]])
    assert len(ollama.runners()) == 1
    assert len(registry.requests) == pulls
    assert stack.up().changes == {"same": 2}


def test_a_server_killed_in_a_load_is_one_clear_error_and_the_next_up_goes_on(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, big: dict[str, Any]
) -> None:
    registry.bytes_per_second = None
    stack = stack_of(program(m=big))
    running = start_up(stack)
    wait_until(says(running, "loading, to stay"), "the load begins")
    ollama.kill()
    running.wait(30)
    text = running.outcome().text
    assert running.returncode != 0
    assert f"at {ollama.url}: " in text
    assert "Traceback" not in text
    ollama.start()
    pulls = len(registry.requests)
    stack.up()
    assert pinned(ollama) == [big["name"]]
    assert len(registry.requests) == pulls


def test_a_preview_of_new_models_needs_no_server_and_a_refresh_without_one_keeps_the_state(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry
) -> None:
    model = {"name": registry.reference("tiny:latest"), "insecure": True}
    offline = stack_of(program(m=model), OLLAMA_HOST=f"127.0.0.1:{free_port()}")
    assert offline.preview().changes == {"create": 2}
    failed = offline.up(check=False)
    assert f": {NOTHING_ANSWERS}" in failed.text
    assert "Traceback" not in failed.text
    stack = stack_of(program(m=model))
    stack.up()
    before = stack.export()["deployment"]["resources"]
    ollama.stop()
    try:
        failed = stack.refresh(check=False)
        assert failed.returncode != 0
        assert f"the list of models at {ollama.url}: {NOTHING_ANSWERS}" in failed.text
        assert "Traceback" not in failed.text
        assert stack.export()["deployment"]["resources"][-1]["outputs"] == before[-1]["outputs"]
    finally:
        ollama.start()


def test_an_error_line_inside_http_200_is_shown_in_the_servers_own_words(stack_of: StackMaker) -> None:
    with FakeOllamaWithFaults() as fake:
        fake.answer("POST", "/api/pull", error_line("pull model manifest: this registry is closed"))
        failed = stack_of(program(m={"name": "a-model"}), OLLAMA_HOST=fake.url).up(check=False)
    words = "the server says: pull model manifest: this registry is closed"
    assert f"error: the pull of a-model:latest at {fake.url}: {words}" in failed.text
    assert "Traceback" not in failed.text


def test_a_second_ctrl_c_is_not_needed_where_a_pull_stalls(stack_of: StackMaker) -> None:
    with FakeOllamaWithFaults() as fake:
        fake.answer("POST", "/api/pull", stall())
        stack = stack_of(program(m={"name": "a-model"}), OLLAMA_HOST=fake.url)
        running = start_up(stack)
        wait_until(lambda: any(request.path == "/api/pull" for request in fake.requests), "the pull begins")
        os.killpg(running.pid, signal.SIGINT)
        began = time.monotonic()
        wait_until(says(running, "stopped on request"), "the provider stops")
        assert_took_less(1.5, began)
        running.wait(60)


BAD_INPUT = [
    ({"name": "a b"}, 'property name value {a b} has a problem: found "a b", expected a model name'),
    (
        {"name": "a", "keep_alive": "10 minutes"},
        "property keep_alive value {10 minutes} has a problem: found",
    ),
    ({"name": "a", "memory_management": "auto"}, "did you mean 'automatic'?"),
    ({"name": "a", "memory_management": "manual", "keep_alive": "5m"}, "use resident instead"),
    ({"name": "a", "host": "http://me:hunter2@gpu"}, "give the secret as a token or a header instead"),
    ({"name": "a", "gguf": "/nowhere.gguf"}, "No such file or directory"),
    ({"name": "chat:local"}, "expected a tag other than local: from 0.18.0 on Ollama drops it"),
    (
        {"name": "a:prod-cloud", "memory_management": "manual"},
        'expected "automatic" for a model that runs on ollama.com',
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[message[:40] for _, message in BAD_INPUT])
def test_bad_input_is_one_clear_message_before_any_server_is_asked(
    stack_of: StackMaker, arguments: dict[str, Any], message: str
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    preview = stack_of(program(m=arguments), OLLAMA_HOST=nobody).preview(check=False)
    assert preview.returncode != 0
    assert message in preview.text
    assert "Traceback" not in preview.text


def test_unknown_values_pass_through_a_preview(stack_of: StackMaker, registry: Registry, tiny: Path) -> None:
    registry.push("again:latest", tiny)
    name, again = map(registry.reference, ("tiny:latest", "again:latest"))
    text = program(m={"name": name, "insecure": True})
    text += f"""
import pulumi
OllamaModel("same", name={again!r}, insecure=True, digest=m.digest, opts=pulumi.ResourceOptions(depends_on=m))
OllamaModel("made", name=m.family.apply(lambda family: f"made-of-{{family}}"), base=m.name, insecure=True,
            parameters={{"num_ctx": m.context_length.apply(lambda length: length // 4)}})
"""
    stack = stack_of(text)
    assert stack.preview().changes == {"create": 4}
    stack.up()
    assert stack.up().changes == {"same": 4}


def test_a_secret_is_sent_to_the_server_and_is_nowhere_else(stack_of: StackMaker, tmp_path: Path) -> None:
    token, header = "s3cret-token", "s3cret-header"
    with FakeOllamaWithFaults() as fake:
        fake.answer("POST", "/api/pull", error_line(f"who is Bearer {token} with {header}?"))
        stack = stack_of(program(m={"name": "a-model"}), OLLAMA_HOST="127.0.0.1:1")
        stack.config("ollama:host", fake.url)
        stack.config("ollama:token", token, secret=True)
        stack.config("ollama:headers", f'{{"X-Proxy-Key": "{header}"}}', secret=True)
        failed = stack.up(check=False)
        sent = [{key.lower(): value for key, value in request.headers.items()} for request in fake.requests]
    assert sent
    assert all(headers["authorization"] == f"Bearer {token}" for headers in sent)
    assert all(headers["x-proxy-key"] == header for headers in sent)
    assert "who is Bearer *** with ***?" in failed.text
    stack.export()
    for file in filter(Path.is_file, stack.folder.rglob("*")):
        assert not any(secret.encode() in file.read_bytes() for secret in (token, header)), file


def test_a_credential_goes_to_the_server_of_the_stack_and_to_no_host_of_a_resource(
    stack_of: StackMaker, tmp_path: Path
) -> None:
    """A canary for each: the token and the headers of the stack, OLLAMA_API_KEY, a netrc's default."""
    (tmp_path / ".netrc").write_text("default login me password canary-of-netrc\n")
    with FakeOllamaWithFaults() as own, FakeOllamaWithFaults() as other:
        other.answer("GET", "/api/ps", status(401, {"error": "unauthorized"}))
        stack = stack_of(
            program(m={"name": "a-model", "host": other.url, "pull_policy": "never"}),
            OLLAMA_HOST=own.url,
            OLLAMA_API_KEY="canary-of-key",
            NETRC=str(tmp_path / ".netrc"),
        )
        failed = stack.up(check=False)
        stack.config("ollama:token", "canary", secret=True)
        stack.config("ollama:headers", '{"X-Key": "canary"}', secret=True)
        failed_too = stack.up(check=False)
    assert other.requests
    assert not any("canary" in value for request in other.requests for value in request.headers.values())
    for each in (failed, failed_too):
        assert f"{other.url} is asked without a credential: the provider's token and headers go only to" in each.text
        assert "unauthorized; it was asked without a credential" in each.text


def test_a_model_that_fits_nowhere_is_not_pulled_twice(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, tiny: Path, tmp_path: Path
) -> None:
    """A load that fails never costs a second download."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    registry.push("broken:latest", broken)
    model = {"name": registry.reference("broken:latest"), "insecure": True, "memory_management": "manual"}
    stack = stack_of(program(m=model))
    assert "the load of" in stack.up(check=False).text
    served = registry.blob_bytes_served()
    assert "the load of" in stack.up(check=False).text
    assert registry.blob_bytes_served() == served
    stack.set_program(program(m=model | {"memory_management": "automatic"}))
    stack.up()
    assert (list(installed(ollama)), resident(ollama)) == ([model["name"]], [])


def test_a_cloud_model_that_is_to_be_held_is_refused_without_a_wait_and_without_a_call(
    stack_of: StackMaker, ollama: OllamaServer
) -> None:
    make_remote(ollama, "far")
    since = ollama.mark()
    stack = stack_of(program(m={"name": "far", "memory_management": "manual"}))
    for _ in range(2):
        failed = stack.up(check=False)
        assert failed.returncode != 0
        words = f"far:latest runs on {REMOTE_HOST} as gpt-oss:120b: this server does not hold it in memory"
        assert f"error: the load of far:latest at {ollama.url}: {words}" in failed.text
    stack.set_program(program(m={"name": "far", "keep_alive": "5m", "on_destroy": "keep"}))
    stack.up()
    assert [count(ollama, since, path) for path in ("/api/generate", "/api/embed", "/api/show")] == [0, 0, 0]
