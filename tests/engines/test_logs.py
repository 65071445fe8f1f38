"""`ollama-policy logs` on what a real Ollama writes while models load, leave and fail, at its two levels of detail."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ollama_policy.logs.event import Event, Kind
from tests.engines.observing import call, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.processes import kill_all
from tests.engines.toolchain import Engines
from tests.policies.logs.following import PROGRAM, following
from tests.policies.logs.told import Told, told
from tests.schemas import valid

pytestmark = pytest.mark.engines

ENVIRONMENT = {"OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_NUM_PARALLEL": "two", "OLLAMA_KV_CACHE_TYPE": "q8_0"}


@dataclass(frozen=True)
class Log:
    """A real log, and what it is told to say; `lines` are as they stand in it."""

    server: OllamaServer
    told: Told
    lines: list[str]
    debug: bool

    def of(self, *kinds: Kind) -> list[Event]:
        return self.told.of(*kinds)

    def line(self, event: Event) -> str:
        return self.lines[event.place.number - 1]

    def name(self, event: Event) -> str:
        """By the order in which the two models were first loaded."""
        return "" if not event.model else ("one", "two")[list(self.told.story.models).index(event.model)]


@pytest.fixture(scope="module", params=["0", "1"], ids=["usual", "debug"])
def log(
    request: pytest.FixtureRequest,
    engines: Engines,
    ggufs: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Log]:
    """Everything that the tests here look for happens once, on a server of its own, before the first of them."""
    folder = tmp_path_factory.mktemp("logs")
    with OllamaServer(engines.ollama, folder, ENVIRONMENT | {"OLLAMA_DEBUG": request.param}) as server:
        server.create_from_gguf("one", ggufs(31))
        server.create_from_gguf("two", ggufs(32))
        _happen(server)
        blob = max((folder / "models/blobs").iterdir(), key=lambda path: path.stat().st_size)
        content = server.log.read_bytes()
        _break(server, blob)
        content = server.log.read_bytes()
        yield Log(server, told(content, slow_seconds=0.5), content.decode().splitlines(), request.param == "1")


def _happen(server: OllamaServer) -> None:
    call(server, "one")
    call(server, "two", keep_alive="1s")  # evicts, for one may be in memory
    wait_until(lambda: not server.ps(), "keep_alive 1s is over")
    call(server, "one")
    call(server, "one", options={"num_ctx": 512, "num_predict": 2})  # reloads
    call(server, "one", prompt="hello " * 300, options={"num_ctx": 512, "num_predict": 2})  # longer than its context
    server.call("POST", "/api/generate", {"model": "one", "keep_alive": 0})
    wait_until(lambda: not server.runners(), "unloaded")
    call(server, "one", keep_alive=-1)
    _kill_runners(server)
    call(server, "one")  # finds it dead, and loads
    _killed_while_it_answers(server)


def _kill_runners(server: OllamaServer) -> None:
    kill_all(server.runners())
    wait_until(lambda: not server.runners(), "killed")
    time.sleep(0.2)  # until the server has collected it


def _killed_while_it_answers(server: OllamaServer) -> None:
    body = {"model": "one", "prompt": "x", "options": {"num_predict": 100_000}}
    with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=60, trust_env=False) as answer:
        lines = answer.iter_lines()
        next(lines)
        kill_all(server.runners())
        assert "error" in list(lines)[-1]


def _break(server: OllamaServer, blob: Path) -> None:
    server.call("POST", "/api/generate", {"model": "one", "keep_alive": 0})
    for path in blob.parent.iterdir():
        if path.read_bytes()[:4] == b"GGUF":
            path.write_bytes(path.read_bytes()[:-5000])
    answer = server.call("POST", "/api/generate", {"model": "two", "prompt": "x", "stream": False})
    assert answer.status_code == 500
    server.call("GET", "/api/version?by=toolkit")


def test_every_load_has_its_figures(log: Log) -> None:
    loads = log.of(Kind.LOAD)
    assert [log.name(load) for load in loads[:5]] == ["one", "two", "one", "one", "one"]
    for load in loads:
        assert "loaded runners" in log.line(load)
        assert load.facts["total_bytes"] > 250_000
        assert load.facts["llama_cpp"]["compute (CPU)"] > 2**20
        assert load.facts["system_free_bytes"] < load.facts["system_total_bytes"]
        assert load.facts["runners"] == 1
    assert [load.facts["context"] for load in loads[:4]] == [2048, 2048, 2048, 512]
    kv = [load.facts["weights_kv_graph"]["KV cache"]["CPU"] for load in loads[:4]]
    assert kv == [512 * 1024, 512 * 1024, 512 * 1024, 128 * 1024]


def test_who_left_memory_and_why(log: Log) -> None:
    if log.debug:
        evicted, expired, reloaded = log.of(Kind.EVICTED), log.of(Kind.EXPIRED), log.of(Kind.RELOAD)
        assert [(log.name(one), one.cause) for one in evicted] == [("one", "count")]
        assert [log.name(one) for one in expired] == ["two"]
        assert [log.name(one) for one in reloaded] == ["one"] * len(reloaded)
        assert reloaded
        causes = [one.cause for one in log.of(Kind.UNLOADED)]
        assert causes[:4] == ["count", "expired", "options", "asked"]
        assert "died" in causes
        assert "timer expired" in log.line(expired[0])
    else:
        gone = [(log.name(one), one.cause) for one in log.of(Kind.GONE)]
        assert gone[:2] == [("one", "count"), ("two", "count")]
        assert not log.of(Kind.EVICTED, Kind.EXPIRED, Kind.UNLOADED)
        assert [(one.facts["before"], one.facts["after"]) for one in log.of(Kind.RELOAD)[:1]] == [(2048, 512)]


def test_a_killed_runner_is_found(log: Log) -> None:
    died = log.of(Kind.DIED)
    assert [(log.name(one), one.cause) for one in died][:1] == [("one", "killed")]
    assert "llama runner process no longer running" in log.line(died[0])


def test_a_runner_that_is_killed_while_it_answers_is_nothing_but_a_failed_call(log: Log) -> None:
    """A streamed one is not even that: Ollama 0.17.4 logs HTTP 200 for it."""
    after = log.of(Kind.DIED)[0].place.number
    lines = [line for line in log.lines[after:] if "EOF" in line or "unexpectedly" in line]
    assert lines == []


def test_a_model_that_cannot_be_read_is_a_failed_call(log: Log) -> None:
    failed = [one for one in log.of(Kind.CALL) if one.cause == "failed"]
    assert failed
    assert "| 500 |" in log.line(failed[-1])


def test_settings_that_are_not_taken(log: Log) -> None:
    ignored = log.of(Kind.IGNORED)
    assert [one.cause for one in ignored] == ["OLLAMA_NUM_PARALLEL", "OLLAMA_KV_CACHE_TYPE"]
    assert ignored[0].place.number == 1  # before Ollama's own log is set up


def test_a_prompt_that_was_cut(log: Log) -> None:
    (cut,) = log.of(Kind.TRUNCATED)
    assert (log.name(cut), cut.facts["limit"]) == ("one", "512")
    assert "truncating input prompt" in log.line(cut)


def test_a_clients_pin_is_known_with_debug_lines_only(log: Log) -> None:
    assert [log.name(one) for one in log.of(Kind.PINNED)] == (["one"] if log.debug else [])


def test_findings(log: Log) -> None:
    ids = set(log.told.ids())
    assert {"OLL601", "OLL605", "OLL606", "OLL607", "OLL609"} <= ids
    assert ("OLL602" in ids) is log.debug
    assert not ids & {"OLL603", "OLL611", "OLL612", "OLL613"}


def test_the_command_names_models_by_the_folder(log: Log) -> None:
    run = subprocess.run(
        [PROGRAM, "logs", log.server.log, "--format", "json", "--models", log.server.folder / "models"],
        capture_output=True,
        check=False,
    )
    document: dict[str, Any] = valid("logs", run.stdout)
    assert run.returncode == 1
    assert [model["names"] for model in document["models"]] == [["one:latest"], ["two:latest"]]
    assert document["has_debug"] is log.debug


def test_follows_a_server_and_names_what_is_in_memory(
    engines: Engines, ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    with OllamaServer(engines.ollama, tmp_path) as server:
        server.create_from_gguf("one", ggufs(31))
        with following(server.log) as run:
            run.wait_for("Ollama 0.17.4 listens")
            call(server, "one")
            run.wait_for(" load: sha256:")
            assert run.interrupt() == 0
        shown = subprocess.run([PROGRAM, "logs", server.log, "--host", server.url], capture_output=True, check=False)
        assert shown.returncode == 0, shown.stdout
        assert "one:latest (sha256:" in shown.stdout.decode()
        paths = [request.path for request in server.requests()]
        assert [path for path in paths if path.startswith("/api/") and "generate" not in path] == ["/api/ps"]


@pytest.mark.parametrize("debug", ["0", "1"])
def test_a_model_that_no_machine_has_memory_for(
    engines: Engines, ggufs: Callable[..., Path], tmp_path: Path, debug: str
) -> None:
    """Ollama puts the others out, one after the other, before it says that it cannot be."""
    with OllamaServer(engines.ollama, tmp_path, {"OLLAMA_DEBUG": debug}) as server:
        server.create_from_gguf("one", ggufs(31))
        server.create_from_gguf("huge", ggufs(33, context_length=2**31 - 1))
        call(server, "one", keep_alive=-1)
        options = {"num_ctx": 2**31 - 1}  # of which each takes 256 bytes
        answer = server.call("POST", "/api/generate", {"model": "huge", "prompt": "x", "options": options})
        assert answer.status_code == 500
        assert "memory" in answer.text
        result = told(server.log.read_bytes())
    (load,) = result.of(Kind.LOAD)
    (evicted,) = result.of(Kind.EVICTED)
    assert (evicted.model, evicted.cause) == (load.model, "memory")
    (failed,) = result.of(Kind.FAILED)
    assert (failed.model != load.model, failed.cause) == (True, "memory")
    assert "are needed and" in failed.text
    assert [one for one in result.ids() if one in ("OLL602", "OLL603", "OLL604")] == ["OLL602", "OLL603"]
    assert load.model not in {model.digest for model in result.story.resident}
