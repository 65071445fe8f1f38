"""`ollama-policy logs` on what a real Ollama writes while models load, leave and fail, at its two levels of detail."""

import contextlib
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ollama_policy.commands.logs.event import Event, Kind
from ollama_policy.model.rule import Severity
from ollama_provider.ollama.sizes import MIB
from ollama_provider.ollama.versions import Behavior, version_in
from tests.engines.observing import call, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.processes import kill_all
from tests.engines.toolchain import Ollama
from tests.policies.logs.following import PROGRAM, following
from tests.policies.logs.told import Told, told
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.both_engines]

ENVIRONMENT = {"OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_NUM_PARALLEL": "two"}


def has_llama_server(engine: Ollama) -> bool:
    return Behavior.LLAMA_SERVER.holds(version_in(engine.version), if_unknown=True)


@dataclass(frozen=True)
class Log:
    """A real log, and what it is told to say; `lines` are as they stand in it."""

    server: OllamaServer
    told: Told
    lines: list[str]
    debug: bool
    has_llama_server: bool

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
    engine: Ollama,
    ggufs: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Log]:
    """Everything that the tests here look for happens once, on a server of its own, before the first of them."""
    folder = tmp_path_factory.mktemp("logs")
    environment = ENVIRONMENT | {"OLLAMA_DEBUG": request.param}
    if not has_llama_server(engine):  # of which it would make every load fail
        environment["OLLAMA_KV_CACHE_TYPE"] = "q8_0"
    with OllamaServer(engine.program, folder, environment) as server:
        server.create_from_gguf("one", ggufs(31, never_ends=True))
        server.create_from_gguf("two", ggufs(32))
        _happen(server)
        blob = max((folder / "models/blobs").iterdir(), key=lambda path: path.stat().st_size)
        content = server.log.read_bytes()
        _break(server, blob)
        content = server.log.read_bytes()
        lines = content.decode(errors="replace").split("\n")
        yield Log(server, told(content, slow_seconds=0.5), lines, request.param == "1", has_llama_server(engine))


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
        assert load.facts["llama_cpp"]["compute (CPU)"] > MIB
        assert load.facts["system_free_bytes"] < load.facts["system_total_bytes"]
        assert load.facts["runners"] == 1
    assert [load.facts["context"] for load in loads[:4]] == [2048, 2048, 2048, 512]
    kv = [load.facts["llama_cpp"]["KV cache (CPU)"] for load in loads[:4]]
    if not log.has_llama_server:
        own = [load.facts["weights_kv_graph"]["KV cache"]["CPU"] for load in loads[:4]]
        assert own == [512 * 1024, 512 * 1024, 512 * 1024, 128 * 1024]
    assert kv == pytest.approx(
        [512 * 1024, 512 * 1024, 512 * 1024, 128 * 1024], abs=0.006 * MIB
    )  # it writes hundredths of a MiB


def test_a_context_beyond_the_models_is_said_once_a_model(log: Log) -> None:
    limited = log.of(Kind.LIMITED)
    assert [(log.name(one), one.cause, one.facts["given"]) for one in limited] == [
        ("one", "model", 2048),
        ("two", "model", 2048),
    ]


def test_names_are_in_a_log_of_llama_server(log: Log) -> None:
    """Since 0.31 the line about a model's template has its name, at every level of detail."""
    names = [list(model.names) for model in log.told.story.models.values()]
    assert names == ([["one:latest"], ["two:latest"]] if log.debug or log.has_llama_server else [[], []])


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
    assert " process no longer running" in log.line(died[0])


def test_a_runner_that_is_killed_while_it_answers_is_nothing_but_a_failed_call(log: Log) -> None:
    """A streamed one is not even that: Ollama logs HTTP 200 for it."""
    after = log.of(Kind.DIED)[0].place.number
    lines = [line for line in log.lines[after:] if "EOF" in line or "unexpectedly" in line]
    assert lines == []


def test_a_model_that_cannot_be_read_is_a_failed_call(log: Log) -> None:
    failed = [one for one in log.of(Kind.CALL) if one.cause == "failed"]
    assert failed
    assert "| 500 |" in log.line(failed[-1])
    loads = [(log.name(one), one.cause) for one in log.of(Kind.FAILED)]
    assert loads == ([("two", "other")] if log.has_llama_server else [])


def test_settings_that_are_not_taken(log: Log) -> None:
    ignored = log.of(Kind.IGNORED)
    expected = ["OLLAMA_NUM_PARALLEL"] + ["OLLAMA_KV_CACHE_TYPE"] * (not log.has_llama_server)
    assert [one.cause for one in ignored] == expected
    assert ignored[0].place.number == 1  # before Ollama's own log is set up


def test_a_prompt_that_was_cut(log: Log) -> None:
    (cut,) = log.of(Kind.TRUNCATED)
    limit = "258" if log.has_llama_server else "512"
    assert (log.name(cut), cut.facts["limit"], cut.facts["context"]) == ("one", limit, 512)
    assert "truncating input prompt" in log.line(cut)


def test_a_clients_pin_is_known_with_debug_lines_only(log: Log) -> None:
    assert [log.name(one) for one in log.of(Kind.PINNED)] == (["one"] if log.debug else [])


def test_findings(log: Log) -> None:
    ids = set(log.told.ids())
    assert {"OLL601", "OLL605", "OLL606", "OLL607", "OLL609", "OLL615"} <= ids
    assert ("OLL604" in ids) is log.has_llama_server
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
    engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    with OllamaServer(engine.program, tmp_path) as server:
        server.create_from_gguf("one", ggufs(31))
        with following(server.log) as run:
            run.wait_for(f"Ollama {engine.version} listens")
            call(server, "one")
            run.wait_for(" load: ")
            assert run.interrupt() == 0
        shown = subprocess.run([PROGRAM, "logs", server.log, "--host", server.url], capture_output=True, check=False)
        assert shown.returncode == 0, shown.stdout
        assert "one:latest (sha256:" in shown.stdout.decode()
        paths = [request.path for request in server.requests()]
        assert [path for path in paths if path.startswith("/api/") and "generate" not in path] == ["/api/ps"]


@pytest.mark.parametrize("debug", ["0", "1"])
def test_a_model_that_no_machine_has_memory_for(
    engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path, debug: str
) -> None:
    """Ollama puts the others out before it says that it cannot be: a pinned one, too.

    Before 0.30 it finds that out by itself. From then on its runner has to fail, here by a limit of its address space.
    """
    with OllamaServer(engine.program, tmp_path, {"OLLAMA_DEBUG": debug}) as server:
        server.create_from_gguf("one", ggufs(31))
        server.create_from_gguf("huge", ggufs(33, context_length=2**31 - 1))
        call(server, "one", keep_alive=-1)
        tokens = 2**31 - 1  # each takes 256 bytes
        if has_llama_server(engine):
            assert server.process is not None
            limit = psutil.Process(server.process.pid).memory_info().vms + 2**30
            resource.prlimit(server.process.pid, resource.RLIMIT_AS, (limit, limit))
            tokens = limit // 256
        body = {"model": "huge", "prompt": "x", "options": {"num_ctx": tokens}}
        answer = server.call("POST", "/api/generate", body, timeout=180)
        assert answer.status_code == 500
        assert "memory" in answer.text
        result = told(server.log.read_bytes())
    (load,) = result.of(Kind.LOAD)
    (failed,) = result.of(Kind.FAILED)
    assert (failed.model != load.model, failed.cause) == (True, "memory")
    evicted = result.of(Kind.EVICTED)
    assert [(one.model, one.cause) for one in evicted] == [
        (load.model, "oom" if has_llama_server(engine) else "memory")
    ]
    ids = [one for one in result.ids() if one in ("OLL602", "OLL603", "OLL604")]
    if has_llama_server(engine):
        assert [(one.model, one.cause) for one in result.of(Kind.RETRY)] == [(failed.model, "alone")]
        assert ids == ["OLL603", "OLL602", "OLL603"]
    else:
        assert "are needed and" in failed.text
        assert ids == ["OLL602", "OLL603"]
    assert load.model not in {model.digest for model in result.story.resident}


# What llama-server alone does.


@dataclass(frozen=True)
class Cached:
    """What a server's log tells of a runner's prompt cache, and what its process took meanwhile."""

    told: Told
    grown: int  # bytes of resident memory

    def found(self) -> tuple[Severity, str]:
        (one,) = [one for one in self.told.findings if one.finding.rule.id == "OLL614"]
        return one.severity, one.finding.message


def _calls(engine: Ollama, gguf: Path, folder: Path, limit: str | None, calls: int = 6) -> Cached:
    """Calls with different prompts of 310 tokens, each of 2 KiB of KV cache: 0.6 MiB a prompt."""
    environment = {} if limit is None else {"LLAMA_ARG_CACHE_RAM": limit}
    with OllamaServer(engine.program, folder, environment) as server:
        server.create_from_gguf("one", gguf, parameters={"num_ctx": 1024, "num_thread": 1})
        call(server, "one", keep_alive=-1, prompt="x" * 310)
        before = server.runner_resident_bytes()
        for number in range(calls):
            call(server, "one", keep_alive=-1, prompt=f"{number} " + chr(ord("A") + number) * 308)
        grown = server.runner_resident_bytes() - before
        return Cached(told(server.log.read_bytes()), grown)


@pytest.fixture(scope="module")
def cached_gguf(ggufs: Callable[..., Path]) -> Path:
    return ggufs(41, layers=4, width=128, heads=2)


@pytest.mark.llama_server
def test_a_growing_prompt_cache_is_found_with_its_bound(engine: Ollama, cached_gguf: Path, tmp_path: Path) -> None:
    result = _calls(engine, cached_gguf, tmp_path, None)
    severity, message = result.found()
    assert severity is Severity.WARNING
    assert message.startswith("one:latest: its prompt cache has grown to ")
    assert "of at most 8 GiB" in message
    (model,) = result.told.story.models.values()
    assert model.cache is not None
    assert model.cache.peak == result.told.of(Kind.CACHE)[-1].facts["peak_bytes"]
    # The first of the prompts was kept before the process was looked at; RSS is not exact.
    assert result.grown == pytest.approx(model.cache.peak, rel=0.25, abs=MIB)


@pytest.mark.llama_server
@pytest.mark.parametrize(("limit", "bound"), [("2", "of at most 2 MiB"), ("-1", "of at most 1024 tokens")])
def test_a_bounded_prompt_cache_is_an_info(
    engine: Ollama, cached_gguf: Path, tmp_path: Path, limit: str, bound: str
) -> None:
    severity, message = _calls(engine, cached_gguf, tmp_path, limit).found()
    assert severity is Severity.INFO
    assert "has reached its bound" in message
    assert bound in message


@pytest.mark.llama_server
def test_without_a_prompt_cache_nothing_is_found(engine: Ollama, cached_gguf: Path, tmp_path: Path) -> None:
    assert "OLL614" not in _calls(engine, cached_gguf, tmp_path, "0", calls=3).told.ids()


@pytest.mark.llama_server
def test_a_variable_that_llama_server_cannot_read_is_named(
    engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    with OllamaServer(engine.program, tmp_path, {"LLAMA_ARG_CACHE_RAM": "auto"}) as server:
        server.create_from_gguf("one", ggufs(31))
        assert server.call("POST", "/api/generate", {"model": "one", "prompt": "x"}).status_code == 500
        result = told(server.log.read_bytes())
    (failed,) = result.of(Kind.FAILED)
    assert failed.cause == "setting"
    assert "llama-server refuses LLAMA_ARG_CACHE_RAM" in failed.text
    assert {"OLL604", "OLL609"} <= set(result.ids())


def test_a_fourth_model_puts_one_out(engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path) -> None:
    """Three are the most on a server without a GPU; pins do not hold. DEBUG lines alone say which one went."""
    with OllamaServer(engine.program, tmp_path, {"OLLAMA_DEBUG": "1"}) as server:
        for number in range(4):
            server.create_from_gguf(f"model{number}", ggufs(51 + number))
            call(server, f"model{number}", keep_alive=-1)
        in_memory = {model["name"] for model in server.ps()}
        content = server.log.read_bytes()
    debug, usual = told(content), told(_without_debug(content))
    (evicted,) = debug.of(Kind.EVICTED)
    names = {model.digest: model.shown for model in debug.story.models.values()}
    assert {names[evicted.model]} == {f"model{number}:latest" for number in range(4)} - in_memory
    assert {model.shown for model in debug.story.resident} == in_memory
    (gone,) = usual.of(Kind.GONE)
    assert (gone.model, "1 of " in gone.text) == ("", True)


def _without_debug(content: bytes) -> bytes:
    return b"\n".join(line for line in content.split(b"\n") if b" level=DEBUG " not in line[:60])


def test_a_load_that_its_client_gives_up_is_an_info(engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path) -> None:
    with OllamaServer(engine.program, tmp_path) as server:
        server.create_from_gguf("big", ggufs(61, layers=16, width=1024))
        deadline = time.monotonic() + 60
        while not (failed := told(server.log.read_bytes()).of(Kind.FAILED)):
            assert time.monotonic() < deadline
            with contextlib.suppress(httpx.TimeoutException):
                server.call("POST", "/api/generate", {"model": "big", "prompt": "x", "keep_alive": 0}, timeout=0.2)
            wait_until(lambda: not server.runners(), "the load is given up, or the model left")
            time.sleep(0.1)  # until it is in the log
        result = told(server.log.read_bytes())
    assert {one.cause for one in failed} == {"client"}
    assert [(one.finding.rule.id, one.severity) for one in result.findings if one.finding.rule.id == "OLL604"] == [
        ("OLL604", Severity.INFO)
    ]
