"""The probe on real runners: steady, a cache that grows and what bounds it, and leaks that are planted in them."""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ollama_provider.ollama.sizes import MIB
from ollama_provider.ollama.versions import Behavior, version_in
from tests.engines.observing import call, count, pinned, resident, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.planted_leak import planted
from tests.engines.processes import kill_all
from tests.engines.running import policy
from tests.engines.tiny_architectures import Shape, write_architecture
from tests.engines.toolchain import Ollama
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.alone]
CACHE = "LLAMA_ARG_CACHE_RAM"
# 8 KiB of KV cache a token: a prompt of the probe is about 3 MiB of a prompt cache.
SHAPE = {"layers": 16, "width": 128, "heads": 8, "kv_heads": 8, "context_length": 4096}


def probe(*arguments: str) -> tuple[int, str]:
    return policy("probe", *arguments, "--tokens", "2", timeout=300)


def measured(url: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.json"
        code, said = probe("tiny", "--host", url, "--format", "json", "-o", str(file), *arguments)
        assert file.is_file(), said
        found: dict[str, Any] = valid("probe", file.read_text())
    return code, found


def has_prompt_cache(engine: Ollama) -> bool:
    return Behavior.PROMPT_CACHE.holds(version_in(engine.version), if_unknown=True)


@pytest.fixture
def gguf(ggufs: Callable[..., Path], engine: Ollama) -> Path:
    """A model whose prompt cache grows; small where there is none: that engine has no vector instructions."""
    return ggufs(0, **SHAPE) if has_prompt_cache(engine) else ggufs(0)


@pytest.fixture
def model(ollama: OllamaServer, tiny: Path) -> str:
    ollama.create_from_gguf("tiny", tiny, parameters={"num_thread": 1})
    return "tiny"


@contextmanager
def serving(engine: Ollama, folder: Path, gguf: Path, **environment: str) -> Iterator[OllamaServer]:
    with OllamaServer(engine.program, folder / "server", environment) as server:
        server.create_from_gguf("tiny", gguf, parameters={"num_thread": 1})
        yield server


@pytest.mark.both_engines
def test_a_model_whose_cache_is_off_is_steady_and_its_unload_gives_its_memory_back(
    engine: Ollama, gguf: Path, tmp_path: Path
) -> None:
    with serving(engine, tmp_path, gguf, **{CACHE: "0"}) as server:
        code, found = measured(server.url)
        # Before 0.30 the runner is Go, too, whose collector now and then adds some KiB a call over so few of them.
        steady = ("steady",) if has_prompt_cache(engine) else ("steady", "slow")
        assert (code, found["growth"]) == (0, []), found
        assert found["kind"] in steady, found
        assert len(found["calls"]) == 60
        [idle] = [one for one in found["samples"] if one["phase"] == "idle"]
        [unload] = [one for one in found["samples"] if one["phase"] == "unload"]
        assert idle["runners"] > 10 * MIB
        assert unload["runners"] == 0
        assert (resident(server), server.runners()) == ([], [])


@pytest.mark.parametrize(
    ("cache", "bound", "by"),
    [
        (None, 8192 * MIB, "llama.cpp's default: LLAMA_ARG_CACHE_RAM is not set"),
        ("32", 32 * MIB, "LLAMA_ARG_CACHE_RAM=32"),
        ("-1", None, "the context of 4,096 tokens, LLAMA_ARG_CACHE_RAM=-1"),
    ],
)
def test_a_prompt_cache_that_grows_is_a_warning_and_its_bound_is_told(
    engine: Ollama, gguf: Path, tmp_path: Path, cache: str | None, bound: int | None, by: str
) -> None:
    environment = {} if cache is None else {CACHE: cache}
    with serving(engine, tmp_path, gguf, **environment) as server:
        code, found = measured(server.url)
        assert (code, found["kind"]) == (0, "bounded"), found
        [growth] = found["growth"]
        assert (growth["cause"], growth["bounded_by"]) == ("prompt cache", by)
        assert growth["bound"] == (bound or pytest.approx(32 * MIB, rel=0.1))  # 4,096 tokens of 8 KiB
        assert growth["has_stopped"] is (cache is not None)
        if cache is not None:
            assert growth["grown"] < 1.5 * growth["bound"]
        assert {sample["ps_size"] for sample in found["samples"] if sample["moment"] == "settled"} <= {
            0,
            found["samples"][1]["ps_size"],
        }


@pytest.mark.both_engines
def test_a_leak_that_is_planted_in_the_runner_is_found(engine: Ollama, gguf: Path, tmp_path: Path) -> None:
    leak = planted(tmp_path, MIB)
    with serving(engine, tmp_path, gguf, **leak) as server:
        code, text = probe("tiny", "--host", server.url)
    assert code == 1, text
    assert "\na leak: every call with one prompt still adds the same" in text
    assert "  of it in the runner +1." in text


def test_a_leak_is_found_beside_a_cache_that_is_full(engine: Ollama, gguf: Path, tmp_path: Path) -> None:
    with serving(engine, tmp_path, gguf, **planted(tmp_path, MIB), **{CACHE: "32"}) as server:
        code, found = measured(server.url)
    assert (code, found["kind"]) == (1, "leak"), found
    [growth] = found["growth"]
    assert (growth["cause"], growth["bound"], growth["has_stopped"]) == ("prompt cache", 32 * MIB, True)


def test_a_conversation_with_a_model_of_sliding_windows_shows_its_checkpoints(engine: Ollama, tmp_path: Path) -> None:
    gguf = tmp_path / "gemma3.gguf"
    shape = Shape(layers=9, width=128, inner=256, heads=4, kv_heads=4, window=512)
    write_architecture(gguf, "gemma3", shape)
    with serving(engine, tmp_path, gguf, **{CACHE: "0"}) as server:
        code, found = measured(server.url, "--fail-on", "growth")
    assert (code, found["kind"]) == (1, "bounded"), found
    [growth] = found["growth"]
    assert growth["cause"] == "context checkpoints"
    assert growth["bound"] == 32 * growth["a_call"]


def test_a_model_that_was_pinned_is_left_pinned(ollama: OllamaServer, model: str) -> None:
    ollama.call("POST", "/api/generate", {"model": model, "keep_alive": -1}).raise_for_status()
    code, text = probe(model, "--host", ollama.url, "--calls", "24", "--concurrency", "4")
    assert code == 2, text
    assert "undecided: at least 20 rounds of calls with one prompt are needed to show a leak" in text
    assert "the model was in memory before, and was left there" in text
    assert pinned(ollama) == ["tiny:latest"]


@pytest.mark.both_engines
def test_the_runner_in_memory_is_the_one_that_is_measured(engine: Ollama, tiny: Path, tmp_path: Path) -> None:
    with serving(engine, tmp_path, tiny, OLLAMA_NUM_PARALLEL="4") as server:
        body = {"model": "tiny", "keep_alive": -1, "options": {"num_ctx": 512}}
        server.call("POST", "/api/generate", body).raise_for_status()
        [runner] = server.runners()
        _, text = probe("tiny", "--host", server.url, "--plan")
        assert "  send num_ctx 512 with each call, the context of its runner: so nothing is reloaded\n" in text
        code, text = probe("tiny", "--host", server.url, "--calls", "4")
        assert code == 2, text
        assert "num_ctx 512 was sent with each call: the context of the runner that was in memory" in text
        assert "replaced" not in text
        report = tmp_path / "report.md"
        options = ("--calls", "4", "--format", "markdown", "-o", str(report))
        policy("report", "--model", "tiny", "--host", server.url, *options)
        assert "512 was sent with each call" in report.read_text()
        assert [one.pid for one in server.runners()] == [runner.pid]


def test_the_runner_of_another_model_is_not_counted(ollama: OllamaServer, model: str, gguf: Path) -> None:
    ollama.create_from_gguf("other", gguf)
    ollama.call("POST", "/api/generate", {"model": "other", "keep_alive": -1}).raise_for_status()
    [other] = ollama.runners()
    code, text = probe(model, "--host", ollama.url, "--calls", "4", "--format", "json")
    assert code == 2, text
    found = json.loads(text)
    assert found["runner"]["pid"] != other.pid
    assert found["samples"][0]["runners"] == found["samples"][-1]["runners"] == 0
    assert pinned(ollama) == ["other:latest"]


def test_a_runner_whose_server_was_killed_is_told(engine: Ollama, tiny: Path, tmp_path: Path) -> None:
    with OllamaServer(engine.program, tmp_path) as server:
        server.create_from_gguf("tiny", tiny, parameters={"num_thread": 1})
        server.call("POST", "/api/generate", {"model": "tiny", "keep_alive": -1}).raise_for_status()
        lost = server.runners()
        try:
            assert server.process
            server.process.kill()
            server.process.wait(10)
            server.start()
            [runner] = lost
            _, text = probe("tiny", "--host", server.url, "--calls", "4")
            assert f"beside it, process {runner.pid} holds " in text
            assert "`ollama-policy reclaim` ends it" in text
            assert runner.status() != psutil.STATUS_ZOMBIE, "nothing of it was ended"
        finally:
            kill_all(lost)


def test_of_a_load_that_fails_the_log_is_named(engine: Ollama, tiny: Path, tmp_path: Path) -> None:
    with serving(engine, tmp_path, tiny, **{CACHE: "auto"}) as server:
        code, text = probe("tiny", "--host", server.url)
    assert (code, "Traceback" in text) == (2, False), text
    assert "HTTP 500" in text
    assert "; the server's log says why: `ollama-policy logs` reads it\n" in text


def test_a_model_that_is_not_there_and_a_server_that_is_not_there(ollama: OllamaServer) -> None:
    code, text = probe("none", "--host", ollama.url)
    assert (code, "it is not on the server" in text, "Traceback" in text) == (2, True, False), text
    code, text = probe("none", "--host", "127.0.0.1:1")
    assert (code, "no connection" in text, "Traceback" in text) == (2, True, False), text


def test_a_probe_finds_its_runner_by_the_weights_and_leaves_the_pin_of_another_name(
    ollama: OllamaServer, model: str
) -> None:
    ollama.call("POST", "/api/create", {"model": "twin", "from": model, "parameters": {"num_ctx": 1024}})
    ollama.call("POST", "/api/generate", {"model": "twin", "keep_alive": -1})
    before = [one.pid for one in ollama.runners()]
    code, text = probe("tiny:latest", "--host", ollama.url, "--plan")
    assert (code, "call tiny:latest by the name twin:latest" in text) == (0, True), text
    assert "interrupt nothing" in text
    assert "in the end twin:latest is in memory, pinned, as now" in text
    code, found = measured(ollama.url, "--calls", "40")
    assert (code, found["called"], found["num_ctx"]) == (0, "twin:latest", 1024), found
    assert {sample["pid"] for sample in found["samples"]} == set(before)
    assert ([one.pid for one in ollama.runners()], pinned(ollama)) == (before, ["twin:latest"])


def test_a_probe_leaves_a_runner_that_another_client_pins_meanwhile(ollama: OllamaServer, model: str) -> None:
    ollama.call("POST", "/api/copy", {"source": model, "destination": "twin"})
    since = ollama.mark()

    def pin() -> None:
        wait_until(lambda: count(ollama, since, "/api/generate") > 3, "calls of the probe")
        call(ollama, "twin", keep_alive=-1)

    client = threading.Thread(target=pin)
    client.start()
    code, text = probe("tiny", "--host", ollama.url, "--calls", "40")
    client.join()
    assert code in (0, 2), text
    assert "another client has pinned it meanwhile, and was left there" in text
    assert pinned(ollama) == ["tiny:latest"]  # the name by which the runner was loaded
