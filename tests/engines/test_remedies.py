"""`ollama-policy remedies` on a real Ollama: the bytes that it names are about those that then come back."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ollama_policy.cli import cli
from ollama_provider.ollama.sizes import MIB
from tests.engines.observing import call, pinned, resident, seconds_left, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.test_reclaim import delete
from tests.engines.toolchain import Engines, Ollama
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.alone]
WANTED = 'resource "ollama_model" "w" {\n  name = "wanted"\n  memory_management = "manual"\n}\n'
LOOSE = 'resource "ollama_model" "l" {\n  name = "loose"\n  memory_management = "automatic"\n}\n'


def remedies(server: OllamaServer, *arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["remedies", "--host", server.url, *map(str, arguments)])


def found(server: OllamaServer, kind: str, *arguments: str | Path) -> list[dict[str, Any]]:
    report = valid("remedies", remedies(server, "--format", "json", *arguments).stdout)
    return [one for one in report["remedies"] if one["id"] == kind]


def unload(server: OllamaServer, name: str) -> None:
    server.call("POST", "/api/generate", {"model": name, "keep_alive": 0}).raise_for_status()
    wait_until(lambda: not any(model.startswith(f"{name}:") for model in resident(server)), "the unload")


@pytest.fixture
def growing(ggufs: Callable[..., Path]) -> Callable[[OllamaServer], None]:
    """Pins `m`, of 8 KiB of KV cache a token, on a server, and calls it 60 times with other prompts of 316 tokens."""
    gguf = ggufs(2, layers=8, width=256, heads=2, kv_heads=2, context_length=4096)

    def grow(server: OllamaServer) -> None:
        server.create_from_gguf("m", gguf, parameters={"num_thread": 1})
        call(server, "m", keep_alive=-1)
        for number in range(60):
            prompt = f"{number:03d}" + "".join(chr(97 + (number * 7 + at * at) % 26) for at in range(312))
            call(server, "m", prompt=prompt, raw=True, options={"num_predict": 1})

    return grow


def own_bytes(server: OllamaServer) -> int:
    """Anonymous and swapped memory of the only runner: what is its own."""
    [runner] = server.runners()
    status = Path(f"/proc/{runner.pid}/status").read_text()
    return 1024 * sum(int(found) for found in re.findall(r"(?:RssAnon|VmSwap):\s+(\d+) kB", status))


def test_a_prompt_cache_that_grew_is_given_back_by_a_reload_and_by_a_cap_as_was_said(
    engine: Ollama, growing: Callable[[OllamaServer], None], tmp_path: Path
) -> None:
    """60 calls with different prompts on a pinned model: what each remedy says comes back, within 10 %."""
    with OllamaServer(engine.program, tmp_path / "as-it-comes") as server:
        growing(server)
        held, listed = own_bytes(server), server.ps()[0]["size"]
        [reload] = found(server, "reload")
        [cap] = found(server, "prompt-cache", "--cache-ram", "32")
        assert (reload["recommended"], reload["target"]) == (True, "m:latest")
        assert reload["bytes"] > 100 * MIB
        result = CliRunner().invoke(cli, [*shlex.split(reload["commands"][0])[1:], "--yes"])
        assert result.exit_code == 0, result.output
        assert "m:latest: reloaded, and pinned again" in result.stdout
        assert reload["bytes"] == pytest.approx(held - own_bytes(server), rel=0.1)
        assert (pinned(server), server.ps()[0]["size"]) == (["m:latest"], listed), "only the process shows any of it"
        assert not found(server, "reload")
        [runner] = server.runners()
        again = CliRunner().invoke(cli, [*shlex.split(reload["commands"][0])[1:], "--yes"])
        assert (again.exit_code, [one.pid for one in server.runners()]) == (0, [runner.pid])
        assert f"it has not grown: process {runner.pid} holds " in again.stdout
        call(server, "m")
        assert pinned(server) == ["m:latest"], "the pin holds at the next call"
    with OllamaServer(engine.program, tmp_path / "capped", {"LLAMA_ARG_CACHE_RAM": "32"}) as server:
        growing(server)
        assert cap["bytes"] == pytest.approx(held - own_bytes(server), rel=0.1)
        assert not found(server, "prompt-cache", "--cache-ram", "32"), "the runner's own environment says it is capped"
        call(server, "m", keep_alive="5m")
        [runner] = server.runners()
        timed = CliRunner().invoke(cli, ["reclaim", "--host", server.url, "--reload", "m", "--yes"])
        assert timed.exit_code == 0, timed.output
        assert runner.pid not in [one.pid for one in server.runners()]
        assert 200 < seconds_left(server, "m:latest") <= 301, "the rest of its timer, by whole seconds"


@pytest.mark.parametrize("shape", [{"layers": 90, "width": 128}, {"layers": 32, "width": 256}], ids=str)
def test_what_the_scheduler_reserves_is_not_said_to_come_back(
    engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path, shape: dict[str, int]
) -> None:
    """Of 813 and 291 tensors: 125 and 45 MiB that no prompt ever touches."""
    gguf = ggufs(11, heads=4, kv_heads=4, **shape)
    with OllamaServer(engine.program, tmp_path / "server", {"LLAMA_ARG_THREADS": "1"}) as server:
        server.create_from_gguf("m", gguf)
        call(server, "m", keep_alive=-1)
        assert not found(server, "reload"), "it has not grown"
        for number in range(5):
            prompt = f"{number:03d}" + "".join(chr(97 + (number * 7 + at * at) % 26) for at in range(700))
            call(server, "m", prompt=prompt, raw=True, options={"num_predict": 1})
        held = own_bytes(server)
        [reload] = found(server, "reload")
        unload(server, "m")
        call(server, "m", keep_alive=-1)
        assert reload["bytes"] == pytest.approx(held - own_bytes(server), rel=0.1)
        assert not found(server, "reload")


def test_a_model_that_cannot_be_reloaded_is_told(ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("gone", tiny)
    call(ollama, "gone", keep_alive="5m")
    arguments = ["reclaim", "--host", ollama.url, "--yes", "--format", "json"]
    loaded = CliRunner().invoke(cli, [*arguments, "--reload", "gone"])
    [fresh] = valid("reload", loaded.stdout)["models"]
    assert (loaded.exit_code, fresh["reloaded"], fresh["pinned"]) == (0, None, False)
    assert fresh["left"].startswith("it has not grown")
    ollama.create_from_gguf("idle", tiny)
    unheld = CliRunner().invoke(cli, [*arguments, "--reload", "idle"])
    assert (unheld.exit_code, "not in memory" in unheld.stdout) == (1, True)
    delete(ollama, "gone")
    result = CliRunner().invoke(cli, [*arguments, "--reload", "gone", "--reload", "never"])
    assert result.exit_code == 1
    orphan, never = valid("reload", result.stdout)["models"]
    assert "orphan" in orphan["left"]
    assert never["left"] == "it is not on the server"
    wait_until(lambda: len(ollama.runners()) == 1, "the old runner's end")
    wrong = CliRunner().invoke(cli, [*arguments, "--reload", "a b"])
    assert (wrong.exit_code, "--reload a b: " in wrong.output) == (2, True)


@pytest.fixture
def large(ggufs: Callable[..., Path]) -> Path:
    return ggufs(1, layers=8, width=512, heads=8, context_length=16384)


def test_a_pinned_model_that_nobody_declared_gives_back_about_what_was_said(
    ollama: OllamaServer, tiny: Path, large: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.tf").write_text(WANTED)
    ollama.create_from_gguf("wanted", tiny)
    ollama.create_from_gguf("stray", large)
    call(ollama, "wanted", keep_alive=-1)
    call(ollama, "stray", keep_alive=-1, options={"num_ctx": 16384, "num_predict": 2})
    mark = ollama.mark()
    [stray] = found(ollama, "undeclared", tmp_path)
    asked = {(one.method, one.path.partition("?")[0]) for one in ollama.requests(mark)}
    assert asked == {("GET", "/api/version"), ("GET", "/api/tags"), ("GET", "/api/ps"), ("POST", "/api/show")}
    assert (stray["target"], stray["recommended"]) == ("stray:latest", True)
    assert stray["commands"] == [f"OLLAMA_HOST={ollama.url} ollama stop stray:latest"]
    before = ollama.runner_resident_bytes()
    unload(ollama, "stray")  # what `ollama stop` asks for
    wait_until(lambda: len(ollama.runners()) == 1, "the runner's end")
    assert resident(ollama) == ["wanted:latest"]
    # The pages of its program's files, which the runners share, come on top.
    assert stray["bytes"] < before - ollama.runner_resident_bytes() < stray["bytes"] + 20 * MIB
    assert not found(ollama, "undeclared", tmp_path)


def test_an_orphan_and_the_command_that_reclaims_it(ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("gone", tiny)
    ollama.call("POST", "/api/copy", {"source": "gone", "destination": "twin"}).raise_for_status()
    call(ollama, "gone", keep_alive=-1)
    delete(ollama, "gone")
    [orphan] = found(ollama, "orphan")
    assert (orphan["recommended"], orphan["bytes"]) == (True, ollama.ps()[0]["size"])
    [command] = orphan["commands"]
    assert CliRunner().invoke(cli, [*command.split()[1:], "--yes"]).exit_code == 0
    assert ollama.ps() == []
    assert remedies(ollama).exit_code == 0


def test_a_smaller_context_gives_back_what_was_estimated(ollama: OllamaServer, large: Path) -> None:
    ollama.create_from_gguf("m", large)
    held, listed = {}, {}
    for num_ctx in (16384, 4096):
        load = {"model": "m", "options": {"num_ctx": num_ctx}}
        ollama.call("POST", "/api/generate", load).raise_for_status()
        wait_until(lambda: len(ollama.runners()) == 1, "one runner")
        held[num_ctx], listed[num_ctx] = ollama.runner_resident_bytes(), ollama.ps()[0]["size"]
        if num_ctx == 16384:
            [context] = found(ollama, "context")
    assert "4096 in place of 16384" in context["title"]
    assert context["bytes"] == pytest.approx(listed[16384] - listed[4096], rel=0.05)
    # Of the buffers, which /api/ps counts whole, no prompt has touched all pages yet.
    assert context["is_at_most"]
    assert 0.5 * context["bytes"] < held[16384] - held[4096] < 1.05 * context["bytes"]


def test_the_command_for_a_models_own_context_lowers_it(ollama: OllamaServer, large: Path) -> None:
    ollama.create_from_gguf("m", large, parameters={"num_ctx": 16384})
    call(ollama, "m", keep_alive=-1)
    [context] = found(ollama, "context")
    stop, create = context["commands"][0].split(" && ")
    assert stop.endswith("ollama stop m:latest")
    unload(ollama, "m")
    subprocess.run(shlex.split(create), check=True, capture_output=True, timeout=20)
    call(ollama, "m")
    assert [(model["context_length"]) for model in ollama.ps()] == [4096]
    assert not found(ollama, "orphan")


def test_a_quantised_cache_and_fewer_at_once_give_back_what_was_estimated(
    engines: Engines, large: Path, tmp_path: Path
) -> None:
    held = {}
    compose = tmp_path / "compose.yaml"
    compose.write_text(
        "services:\n  ollama:\n    image: ollama/ollama:0.17.4\n    environment:\n      OLLAMA_NUM_PARALLEL: 4\n"
    )
    cases = {
        "now": {"OLLAMA_NUM_PARALLEL": "4"},
        "parallel": {"OLLAMA_NUM_PARALLEL": "1"},
        "kv-cache": {"OLLAMA_NUM_PARALLEL": "4", "OLLAMA_KV_CACHE_TYPE": "q8_0", "OLLAMA_FLASH_ATTENTION": "1"},
    }
    said = {}
    for case, environment in cases.items():
        with OllamaServer(engines.ollama, tmp_path / case, environment) as server:
            server.create_from_gguf("m", large)
            load = {"model": "m", "options": {"num_ctx": 8192}}
            server.call("POST", "/api/generate", load).raise_for_status()
            held[case] = server.runner_resident_bytes()
            if case == "now":
                said = {kind: found(server, kind, compose)[0] for kind in ("parallel", "kv-cache")}
    for kind, one in said.items():
        assert one["bytes"] == pytest.approx(held["now"] - held[kind], rel=0.15), kind


def test_the_edits_are_written_into_the_named_file_alone(ollama: OllamaServer, tiny: Path, tmp_path: Path) -> None:
    for name in ("a.tf", "b.tf"):
        (tmp_path / name).write_text(LOOSE.replace("loose", name[0]).replace('"l"', f'"{name[0]}"'))
    ollama.create_from_gguf("a", tiny)
    call(ollama, "a", keep_alive=-1)
    before = (tmp_path / "b.tf").read_bytes()
    result = remedies(ollama, tmp_path, "--apply-to", tmp_path / "a.tf")
    assert result.exit_code in (0, 1)
    assert "of a:latest" not in result.stdout, "what was just written is done"
    assert f"edit        {tmp_path}/a.tf" not in result.stdout
    assert f"edit        {tmp_path}/b.tf" in result.stdout
    assert '+  memory_management = "manual"' in result.stdout
    assert 'memory_management = "manual"' in (tmp_path / "a.tf").read_text()
    assert (tmp_path / "b.tf").read_bytes() == before
    assert resident(ollama) == ["a:latest"]


def test_a_server_that_is_not_there_is_one_line() -> None:
    result = CliRunner().invoke(cli, ["remedies", "--host", "http://127.0.0.1:9"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
