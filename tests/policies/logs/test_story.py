"""What single lines mean. Lines are as Ollama 0.17.4's source writes them, where no test server can be made to."""

import pytest

from ollama_policy.commands.logs.event import Event, Kind
from ollama_policy.commands.logs.state import FOR_EVER, MOST_MODELS
from ollama_policy.model.rule import Severity
from tests.policies.logs.told import told

A, B, C = ("/m/blobs/sha256-" + letter * 64 for letter in "abc")


def line(message: str, rest: str = "", level: str = "INFO") -> str:
    return f'time=2026-01-01T12:00:00.000Z level={level} source=x.go:1 msg="{message}" {rest}\n'


def runner(path: str = A, name: str = "chat", more: str = "") -> str:
    return f'runner.name=registry.ollama.ai/library/{name}:latest runner.size="5.4 GiB" runner.model={path} {more}'


def load(path: str = A, count: int = 1, between: str = "", *, own_engine: bool = False) -> str:
    started, counted = line("llama runner started in 1.50 seconds"), line("loaded runners", f"count={count}")
    ends = counted + started if own_engine else started + counted + started
    return line("starting runner", f'cmd="/bin/ollama runner --model {path} --port 1"') + between + ends


def events(text: str) -> list[Event]:
    return told(text.encode()).events


@pytest.mark.parametrize("own_engine", [False, True])
def test_a_load_is_one_event_whichever_engine_it_was(own_engine: bool) -> None:
    found = events(load(own_engine=own_engine))
    assert [event.kind for event in found] == [Kind.LOAD]


def test_a_search_for_gpus_is_no_load() -> None:
    assert (
        events(line("starting runner", 'cmd="ollama runner --ollama-engine --port 1"') + line("loaded runners")) == []
    )


def test_layouts_that_were_only_tried_do_not_count() -> None:
    tried = line("kv cache", 'device=CUDA0 size="9.0 GiB"', "DEBUG") + line("total memory", 'size="9.9 GiB"', "DEBUG")
    kept = line("kv cache", 'device=CUDA0 size="1.0 GiB"') + line("kv cache", 'device=CPU size="2.0 GiB"')
    (found,) = events(load(between=tried + kept + line("total memory", 'size="3.0 GiB"')))
    assert found.facts["weights_kv_graph"] == {"KV cache": {"CUDA0": 2**30, "CPU": 2 * 2**30}}
    assert found.text == "loaded: KV cache 1.0 GiB and 2.0 GiB = 3.0 GiB; in 1.5 s"


SHORT = "model requires more {} memory than is currently available, evicting a model to make space"


@pytest.mark.parametrize("kind", ["gpu", "system"])
def test_an_eviction_for_memory_names_the_only_other_model(kind: str) -> None:
    found = events(load(A) + load(B, between=line(SHORT.format(kind))))
    assert [(event.kind, event.model[7:8], event.cause) for event in found] == [
        (Kind.LOAD, "a", ""),
        (Kind.EVICTED, "a", "memory"),
        (Kind.LOAD, "b", ""),
    ]


def test_an_eviction_for_memory_names_none_where_it_cannot_know() -> None:
    found = events(load(A) + load(B, 2) + load(C, 2, between=line(SHORT.format("system"))))
    (evicted,) = [event for event in found if event.kind is Kind.EVICTED]
    assert evicted.model == ""
    (gone,) = [event for event in found if event.kind is Kind.GONE]
    assert "1 of sha256:" in gone.text


def test_with_debug_an_eviction_for_memory_is_said_once_and_named() -> None:
    out = line("resetting model to expire immediately to make room", runner(A), "DEBUG")
    found = events(load(A) + load(B, 2) + load(C, 2, between=line(SHORT.format("gpu")) + out))
    evicted = [event for event in found if event.kind is Kind.EVICTED]
    assert [(event.model[7:8], event.cause) for event in evicted] == [("a", "memory")]


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        ("model requires more system memory (9.9 GiB) than is available (1.0 GiB)", "OLL603"),
        ("memory layout cannot be allocated", "OLL603"),
        ("llama runner process has terminated: cudaMalloc failed: out of memory", "OLL603"),
        ("llama runner process has terminated: signal: killed", "OLL605"),
        ("llama runner process has terminated: error loading model: unknown architecture", "OLL604"),
    ],
)
def test_failed_loads(error: str, rule: str) -> None:
    result = told(line("Load failed", f'model={A} error="{error}"').encode())
    assert result.ids() == [rule]
    assert error in result.findings[0].finding.message


def test_a_failed_load_says_what_was_needed() -> None:
    too_large = line("model request too large for system", 'requested="9.9 GiB" available="1.0 GiB"', "WARN")
    failed = line("Load failed", f'model={A} error="model requires more system memory"')
    begun = line("starting runner", f'cmd="ollama runner --model {A} --port 1"')
    (found,) = events(begun + too_large + failed)
    assert found.text.endswith("(9.9 GiB are needed and 1.0 GiB are there)")


def test_a_retry_is_a_warning() -> None:
    (reported,) = told(
        load(between=line("model layout did not fit, applying backoff", "backoff=0.10")).encode()
    ).findings
    assert (reported.finding.rule.id, reported.severity) == ("OLL603", Severity.WARNING)


def test_a_failure_names_its_model() -> None:
    error = "unsupported: try updating it by running `ollama pull chat:7b`"
    result = told(line("NewLlamaServer failed", f'model={A} error="{error}"').encode())
    assert result.findings[0].finding.address == "chat:7b"


def test_a_dead_runner_is_said_once_though_each_call_finds_it() -> None:
    dead = line("llama runner process no longer running", 'sys=9 string="signal: killed"', "WARN")
    result = told((load() + dead * 3 + load() + dead).encode())
    assert len(result.of(Kind.DIED)) == 2
    assert result.ids() == ["OLL605"]
    assert "and 1 more, the last on line 12" in result.findings[0].finding.message


@pytest.mark.parametrize(
    "written",
    [
        "Out of memory: Killed process 1234 (ollama) total-vm:1kB",
        "Jan 01 12:00:00 host kernel: Memory cgroup out of memory: Killed process 12 (ollama_llama_se) total-vm:1kB",
        "Jan 01 12:00:00 host systemd[1]: ollama.service: A process of this unit has been killed by the OOM killer.",
        "SIGSEGV: segmentation violation",
        "panic: runtime error: index out of range",
        "//ml/backend/ggml/ggml.c:1: GGML_ASSERT(a == b) failed",
    ],
)
def test_deaths_that_others_write(written: str) -> None:
    result = told((load() + written + "\n").encode())
    assert (result.ids(), result.findings[0].finding.address) == (["OLL605"], "sha256:" + "a" * 12)


def test_another_process_that_the_kernel_kills_is_none() -> None:
    assert told(b"Out of memory: Killed process 1234 (chrome) total-vm:1kB\n").events == []


def test_a_clients_pin_is_an_info_and_said_once() -> None:
    idle = line(
        "runner with non-zero duration has gone idle, adding timer", runner(more=f"duration={FOR_EVER}"), "DEBUG"
    )
    (reported,) = told((load() + idle * 3).encode()).findings
    assert (reported.finding.rule.id, reported.severity) == ("OLL610", Severity.INFO)


def test_reasons_of_an_unload() -> None:
    unloaded = line("runner terminated and removed from list, blocking for VRAM recovery", runner(), "DEBUG")
    zero = line("runner with zero duration has gone idle, expiring to unload", runner(), "DEBUG")
    found = events(load() + unloaded + load() + zero + unloaded)
    assert [event.cause for event in found if event.kind is Kind.UNLOADED] == ["asked", "zero"]


# The document's line.

ALARM = "ERROR: Memory usage exceeds threshold. Current memory usage: 85%\n"


@pytest.mark.parametrize(
    "written",
    [
        ALARM,
        "ERROR: Memory usage exceeds threshold. \nCurrent memory usage: 85%\n",
        "2026-01-01 12:00:00 wrapper error: memory usage exceeds threshold. current memory usage: 85 %\n",
    ],
)
def test_the_documents_line(written: str) -> None:
    size = line("total memory", 'size="5.4 GiB"')
    (alarm,) = told((load(between=size) + written).encode()).of(Kind.ALARM)
    assert alarm.text == "memory is at 85%, with sha256:aaaaaaaaaaaa (5.4 GiB) in memory"
    assert alarm.place.number == 6
    assert alarm.facts["percent"] == "85"


def test_the_documents_line_alone_is_enough() -> None:
    result = told(ALARM.encode())
    assert result.ids() == ["OLL612"]
    assert "no model that this log shows" in result.findings[0].finding.message


# Bounds.


def test_more_models_than_any_server_has_are_forgotten() -> None:
    paths = (f"/m/blobs/sha256-{number:064x}" for number in range(MOST_MODELS + 50))
    expired = "".join(line("timer expired, expiring to unload", runner(path), "DEBUG") for path in paths)
    result = told(expired.encode())
    assert len(result.story.models) == MOST_MODELS
    assert len(result.findings) == 0


def test_a_servers_start_forgets_what_was_in_memory() -> None:
    started = line("server config", 'env="map[OLLAMA_KEEP_ALIVE:5m0s OLLAMA_MAX_LOADED_MODELS:0]"')
    assert told((load() + started).encode()).story.resident == []
    assert [event.kind for event in events(load() + started + load())] == [Kind.LOAD, Kind.START, Kind.LOAD]


def test_no_password_of_a_proxy_is_repeated() -> None:
    started = line("server config", 'env="map[HTTPS_PROXY:http://me:hunter2@proxy:3128 OLLAMA_KEEP_ALIVE:5m0s]"')
    (found,) = events(started)
    assert b"http://***@proxy:3128" in found.place.raw
    assert "hunter2" not in repr(found)
