"""Logs of 0.30 and later, where llama.cpp's llama-server runs every GGUF model: real ones, and lines of its source."""

import itertools

import pytest

from ollama_policy.commands.logs.event import Event, Kind
from ollama_policy.model.rule import Severity
from tests.policies.logs.told import REAL, Told, told

A, B, C = ("/m/blobs/sha256-" + letter * 64 for letter in "abc")
ONE_MIB = 2**20


def real(name: str) -> Told:
    return told((REAL / f"{name}.log").read_bytes())


def in_short(result: Told) -> list[tuple[str, str, str]]:
    models = result.story.models
    return [(one.kind.value, models[one.model].shown if one.model else "", one.cause) for one in result.events]


def line(message: str, rest: str = "", level: str = "INFO") -> str:
    return f'time=2026-01-01T12:00:00.000Z level={level} source=x.go:1 msg="{message}" {rest}\n'


def begin(path: str = A, context: int = 4096, parallel: int = 1) -> str:
    command = f"/lib/ollama/llama-server --model {path} --port 1 -c {context * parallel} -np {parallel} -b 512"
    return line("using llama-server for model", f"model={path}") + line("starting llama-server", f'cmd="{command}"')


def load(path: str = A, count: int = 1, context: int = 4096, parallel: int = 1, between: str = "") -> str:
    started = line("llama-server started in 1.50 seconds")
    ends = started + line("loaded runners", f"count={count}") + started
    return begin(path, context, parallel) + between + ends


def cache(prompts: int, mib: float, limit: float = 8192, tokens: int = 4096) -> str:
    limits = f"(limits: {limit:.3f} MiB, {tokens} tokens, 99999 est)"
    return f"srv        update:  - cache state: {prompts} prompts, {mib:.3f} MiB {limits}\n"


def events(text: str) -> list[Event]:
    return told(text.encode()).events


# Real logs.


def test_a_life_at_the_usual_level() -> None:
    assert in_short(real("llama-server-usual")) == [
        ("ignored", "", "OLLAMA_NUM_PARALLEL"),
        ("start", "", ""),
        ("start", "", "version"),
        ("limited", "one:latest", "model"),
        ("load", "one:latest", ""),
        ("limited", "two:latest", "model"),
        ("gone", "one:latest", "count"),
        ("load", "two:latest", ""),
        ("gone", "two:latest", "count"),
        ("load", "one:latest", ""),
        ("reload", "one:latest", "context"),
        ("load", "one:latest", ""),
        ("truncated", "one:latest", ""),
        ("reload", "one:latest", "context"),
        ("load", "one:latest", ""),
        ("died", "one:latest", "killed"),  # while idle
        ("load", "one:latest", ""),
        ("died", "one:latest", "killed"),  # while it streamed an answer: HTTP 200
        ("load", "one:latest", ""),
        ("call", "", "failed"),
        ("died", "one:latest", "killed"),  # while it made an answer that was not streamed
        ("load", "one:latest", ""),
    ]


def test_a_life_with_debug_lines() -> None:
    result = real("llama-server-debug")
    assert in_short(result)[4:16] == [
        ("load", "one:latest", ""),
        ("evicted", "one:latest", "count"),
        ("unloaded", "one:latest", "count"),
        ("limited", "two:latest", "model"),
        ("load", "two:latest", ""),
        ("expired", "two:latest", ""),
        ("unloaded", "two:latest", "expired"),
        ("load", "one:latest", ""),
        ("reload", "one:latest", "options"),
        ("unloaded", "one:latest", "options"),
        ("load", "one:latest", ""),
        ("truncated", "one:latest", ""),
    ]
    assert in_short(result)[-1] == ("unloaded", "one:latest", "server")
    assert [one.cause for one in result.of(Kind.UNLOADED)].count("died") == 3
    assert [one.cause for one in result.of(Kind.PINNED)] == ["client"]


def test_the_size_is_the_one_that_api_ps_shows() -> None:
    """It is in no line at the usual level, but in each DEBUG line of a runner."""
    result = real("llama-server-debug")
    assert {one.facts["size"] for one in result.of(Kind.UNLOADED) if one.facts} == {"3.7 MiB", "1.8 MiB"}
    assert {one.facts["total_bytes"] for one in result.of(Kind.LOAD)} == {3879731, 1887436}


def test_a_load_has_llama_cpps_figures() -> None:
    found = real("llama-server-usual").of(Kind.LOAD)[0]
    assert found.facts["llama_cpp"] == {
        "model (CPU)": 220200,
        "output (CPU)": 0,
        "KV cache (CPU)": 512 * 1024,
        "compute (CPU)": 3156213,
    }
    assert (found.facts["context"], found.facts["parallel"], found.facts["seconds"]) == (2048, 1, 1.62)
    assert found.facts["system_free_bytes"] < found.facts["system_total_bytes"]


def test_a_prompt_that_was_cut_has_its_context() -> None:
    """0.34.3 logs limit=258: what a first shift of a context of 512 leaves."""
    (cut,) = real("llama-server-usual").of(Kind.TRUNCATED)
    assert "was cut to 258: the context is 512, and the rest" in cut.text
    assert (cut.facts["limit"], cut.facts["context"]) == ("258", 512)


def test_a_growing_cache_is_one_warning_with_its_bound() -> None:
    result = real("prompt-cache")
    grown = [one.facts["peak_bytes"] for one in result.of(Kind.CACHE)]
    assert all(after >= 1.7 * before for before, after in itertools.pairwise(grown))
    (found,) = [one for one in result.findings if one.finding.rule.id == "OLL614"]
    assert found.severity is Severity.WARNING
    assert "grown to 32.5 MiB in 13 prompts, of at most 8 GiB" in found.finding.message
    assert "LLAMA_ARG_CACHE_RAM" in found.finding.rule.fix


@pytest.mark.parametrize(
    ("name", "words", "limit"),
    [
        ("prompt-cache-capped", "7.5 MiB in 3 prompts, of at most 8 MiB", 8 * ONE_MIB),
        ("prompt-cache-by-context", "7.5 MiB in 6 prompts, of at most 2048 tokens", None),
    ],
)
def test_a_cache_with_a_bound_of_its_own_is_an_info(name: str, words: str, limit: int | None) -> None:
    result = real(name)
    last = result.of(Kind.CACHE)[-1]
    assert (last.cause, last.facts["limit_bytes"]) == ("capped", limit)
    (found,) = [one for one in result.findings if one.finding.rule.id == "OLL614"]
    assert found.severity is Severity.INFO
    assert f"has reached its bound: {words}" in found.finding.message


def test_a_fourth_model_puts_out_one_that_no_line_names() -> None:
    result = real("four-models")
    gone = result.of(Kind.GONE)
    assert "1 of m0:latest, m1:latest, m2:latest left memory before" in gone[0].text
    assert [one.facts["parallel"] for one in result.of(Kind.LOAD)] == [2] * 6
    assert [one.facts["context"] for one in result.of(Kind.LOAD)[:4]] == [512, 1024, 1536, 2048]


def test_of_several_the_dead_one_is_the_one_that_is_loaded_next() -> None:
    (died,) = real("four-models").of(Kind.DIED)
    assert died.model == "sha256:c4f1d229a190" + died.model[19:]


def test_a_load_that_was_given_up_is_one_event() -> None:
    result = real("given-up")
    assert [(one.cause, one.place.number) for one in result.of(Kind.FAILED)] == [("client", 12)]
    assert [one.severity for one in result.findings if one.finding.rule.id == "OLL604"] == [Severity.INFO]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("variable-refused", "llama-server refuses LLAMA_ARG_CACHE_RAM: it is not a whole number"),
        ("cache-type-unknown", "llama-server refuses OLLAMA_KV_CACHE_TYPE: Unsupported cache type: q3"),
        ("cache-type-refused", "LLAMA_ARG_CACHE_TYPE_K or LLAMA_ARG_CACHE_TYPE_V has a type that the model cannot use"),
    ],
)
def test_a_setting_for_which_no_load_succeeds_is_named(name: str, words: str) -> None:
    (failed,) = real(name).of(Kind.FAILED)
    assert (failed.cause, words in failed.text) == ("setting", True), failed.text


def test_a_load_that_is_tried_again_alone_puts_out_a_pinned_model() -> None:
    """On a CPU, with a limit of the process's address space."""
    result = real("tried-again-alone")
    assert in_short(result)[4:] == [
        ("retry", "sha256:145f1b2d2d38", "alone"),
        ("evicted", "one:latest", "oom"),
        ("failed", "sha256:145f1b2d2d38", "memory"),
        ("call", "", "failed"),
        ("load", "one:latest", ""),
    ]
    assert "(llama-server process has terminated: exit status 1: ggml_aligned_malloc: " in result.of(Kind.RETRY)[0].text
    assert [one for one in result.ids() if one != "OLL615"] == ["OLL603", "OLL602", "OLL603", "OLL609"]


@pytest.mark.parametrize("name", sorted(path.stem for path in REAL.glob("*.log")))
def test_every_event_is_on_its_line(name: str) -> None:
    lines = (REAL / f"{name}.log").read_bytes().split(b"\n")
    for event in real(name).events:
        assert lines[event.place.number - 1].startswith(event.place.raw[:200])


# Lines of the source, for what no test server can be made to do: most of it needs a GPU.


def test_a_load_is_one_event_though_it_starts_twice() -> None:
    assert [one.kind for one in events(load())] == [Kind.LOAD]


def test_a_runner_of_0_30_that_begins_as_older_ones_do() -> None:
    text = load(context=1024, parallel=4).replace("starting llama-server", "starting runner")
    (found,) = events(text.replace("llama-server started", "llama runner started"))
    assert (found.facts["context"], found.facts["parallel"]) == (1024, 4)


def test_a_sliding_window_has_a_cache_of_its_own() -> None:
    buffers = (
        "llama_kv_cache_iswa: creating non-SWA KV cache, size = 4096 cells\n"
        "llama_kv_cache:        CPU KV buffer size =    16.00 MiB\n"
        "llama_kv_cache_iswa: creating     SWA KV cache, size = 1024 cells\n"
        "llama_kv_cache:        CPU KV buffer size =     4.00 MiB\n"
        "sched_reserve:        CPU compute buffer size =     1.00 MiB\n"
        "sched_reserve:        CPU compute buffer size =     2.00 MiB\n"
    )
    result = told(load(between=buffers).encode())
    (found,) = result.events
    assert found.facts["llama_cpp"] == {
        "KV cache (CPU)": 16 * ONE_MIB,
        "KV cache of the sliding window (CPU)": 4 * ONE_MIB,
        "compute (CPU)": 2 * ONE_MIB,
    }
    assert found.facts["total_bytes"] == 22 * ONE_MIB
    assert result.story.resident[0].size == "6 MiB"  # /api/ps counts the later of the two


@pytest.mark.parametrize(
    ("layers", "mapped", "size"), [("9/9", "_Mapped", "20 MiB"), ("5/9", "", "25 MiB"), ("5/9", "_Mapped", "")]
)
def test_the_size_of_a_model_on_a_gpu_is_known_where_lines_have_all_of_it(layers: str, mapped: str, size: str) -> None:
    buffers = (
        f"load_tensors: offloaded {layers} layers to GPU\n"
        f"load_tensors:   CPU{mapped} model buffer size =     5.00 MiB\n"
        "load_tensors:        CUDA0 model buffer size =    20.00 MiB\n"
    )
    assert told(load(between=buffers).encode()).story.resident[0].size == size


SHORT = line(
    "llama-server model predicted to exceed available memory, evicting", 'predicted="9.9 GiB" available="1.0 GiB"'
)


def test_an_eviction_by_prediction_names_the_only_other_model() -> None:
    found = events(load(A) + SHORT + load(B))
    assert [(one.kind, one.model[7:8], one.cause) for one in found] == [
        (Kind.LOAD, "a", ""),
        (Kind.EVICTED, "a", "memory"),
        (Kind.LOAD, "b", ""),
    ]
    assert "for sha256:bbbb" in found[1].text


FAILED = line("Load failed", f'model={B} error="llama-server reported out-of-memory during startup: cudaMalloc failed"')
ALONE = line("llama-server load failed; evicting all other models and retrying once", f"model={B} error=x", "WARN")
LESS = line(
    "llama-server load failed; reducing automatic context and retrying once",
    f"model={B} old_num_ctx=262144 effective_num_ctx=131072 new_num_ctx=32768 evict_all=true error=x",
    "WARN",
)
ALL = line("evicting all other loaded models for OOM retry", "count=2")


def test_a_load_that_is_tried_again_alone_did_not_fail() -> None:
    result = told((load(A) + load(C, 2) + begin(B) + FAILED + ALONE + ALL + load(B)).encode())
    assert [(one.kind, one.model[7:8], one.cause) for one in result.events] == [
        (Kind.LOAD, "a", ""),
        (Kind.LOAD, "c", ""),
        (Kind.RETRY, "b", "alone"),
        (Kind.EVICTED, "a", "oom"),
        (Kind.EVICTED, "c", "oom"),
        (Kind.LOAD, "b", ""),
    ]
    assert {(one.finding.rule.id, one.severity) for one in result.findings} == {
        ("OLL602", Severity.WARNING),
        ("OLL603", Severity.WARNING),
    }


def test_a_reduced_context_has_both_figures() -> None:
    result = told((begin(B) + FAILED + LESS + load(B, context=32768)).encode())
    retry, loaded = result.events
    assert (retry.cause, retry.facts) == ("context", {"before": 131072, "after": 32768})
    assert loaded.facts["context"] == 32768
    assert result.ids() == ["OLL603"]


def test_a_load_that_fails_again_is_an_error() -> None:
    result = told((begin(B) + FAILED + LESS + begin(B) + FAILED + line("x")).encode())
    assert [one.kind for one in result.events] == [Kind.RETRY, Kind.FAILED]
    assert sorted(one.severity for one in result.findings) == [Severity.ERROR, Severity.WARNING]


def test_memory_that_runs_out_in_an_answer_puts_out_all_and_pins_are_said() -> None:
    duration = "duration=2562047h47m16.854775807s"
    idle = line(
        "runner with non-zero duration has gone idle, adding timer", f"runner.name=chat runner.model={A} {duration}"
    )
    ran_out = line(
        "runtime OOM detected; expiring loaded models to clear memory before next request",
        f'model={B} error="CUDA error: out of memory"',
        "WARN",
    )
    result = told((load(A) + idle + load(B, 2) + ran_out).encode())
    (oom,) = result.of(Kind.OOM)
    assert (oom.model[7:8], len(oom.facts["models"])) == ("b", 2)
    assert "(with it: chat:latest (it was kept forever)): " in oom.text
    assert "sha256:bbbb" not in oom.text  # what prints it names the model before
    assert [(one.model[7:8], one.cause) for one in result.of(Kind.EVICTED)] == [("a", "answer"), ("b", "answer")]
    assert result.story.resident == []
    assert [one.finding.rule.id for one in result.findings if one.severity is Severity.ERROR] == ["OLL616"]
    assert "OLL602" not in result.ids()


def test_refused_parallelism_is_said_of_the_model_that_is_loaded_next() -> None:
    refused = line("model architecture does not currently support parallel requests", "architecture=qwen3next", "WARN")
    result = told((refused + load(A) + refused + load(A)).encode())
    (limited,) = result.of(Kind.LIMITED)
    assert (limited.model[7:8], limited.cause) == ("a", "parallel")
    assert "qwen3next: one call at a time" in limited.text
    assert result.ids() == ["OLL615"]


def test_a_server_that_could_not_be_created_has_a_name_and_the_model_announced() -> None:
    announced = line("using llama-server for model", f"model={A}")
    result = told((announced + line("failed to create server", 'model=chat error="no llama-server"')).encode())
    (failed,) = result.of(Kind.FAILED)
    assert (failed.model[7:8], result.findings[0].finding.address) == ("a", "chat:latest")


def test_a_death_of_a_runner_that_the_log_does_not_have_says_so() -> None:
    (died,) = told(line("llama-server process no longer running", 'sys=9 string="signal: killed"').encode()).of(
        Kind.DIED
    )
    assert died.text == "the runner ended: signal: killed (the log does not show of which model)"


def test_a_runner_that_ollama_itself_kills_did_not_die() -> None:
    killed = line("llama-server terminated", 'error="signal: killed" exit=9', "ERROR")
    assert told((load() + killed).encode()).of(Kind.DIED) == []
    crashed = line("llama-server terminated", 'error="exit status 134" exit=134', "ERROR")
    assert [one.cause for one in told((load() + crashed).encode()).of(Kind.DIED)] == ["crash"]


def test_what_ended_a_runner_while_it_was_loaded_is_said_with_the_failure() -> None:
    ended = line("llama-server terminated", 'error="signal: aborted" exit=6', "ERROR")
    failed = line("Load failed", f'model={A} error="llama-server process has terminated"')
    (found,) = events(begin() + ended + failed)
    assert (found.kind, "signal: aborted" in found.text) == (Kind.FAILED, True)


def test_an_answer_that_broke_off_is_a_failed_call() -> None:
    broken = line("llama-server completion error", 'error="Post \\"http://127.0.0.1:1/completion\\": EOF"', "ERROR")
    result = told((load() + broken).encode())
    assert [(one.cause, one.model[7:8]) for one in result.of(Kind.CALL)] == [("broken", "a")]
    assert result.ids() == ["OLL609"]


@pytest.mark.parametrize(
    ("version", "limit", "context", "words"),
    [
        ("0.30.10", 512, 512, "the context is 512"),
        ("0.30.11", 258, 512, "the context is 512, and the rest of it"),
        ("0.34.3", 258, 512, "the context is 512, and the rest of it"),
        ("0.30.10", 999, 999, "the context is 999"),  # of a model that the log does not show
        ("0.34.3", 999, None, "about half of which is left free"),
        ("", 999, None, "about half of which is left free"),
    ],
)
def test_what_limit_means_depends_on_the_version(version: str, limit: int, context: int | None, words: str) -> None:
    started = line(f"Listening on [::]:1 (version {version})") if version else ""
    cut = line("truncating input prompt", f"limit={limit} prompt=2404 keep=4 new={limit}", "WARN")
    (found,) = told((started + load(context=512) + cut).encode()).of(Kind.TRUNCATED)
    assert (found.facts["context"], words in found.text) == (context, True), found.text


def test_a_full_context_is_said_by_llama_server() -> None:
    text = "slot update_slots: id  0 | task 3 | slot context shift, n_keep = 4, n_left = 2043, n_discard = 1021\n"
    (found,) = told((load() + text).encode()).of(Kind.SHIFTED)
    assert found.text == "the context of 4096 is full: its oldest 1021 tokens are dropped"


# Calls, and loads again.

BROKE_OFF = '[GIN] 2026/01/01 - 12:00:29 | 500 |  1.152966756s |  127.0.0.1 | POST     "/api/generate"\n'
LOST = "srv          stop: cancel task, id_task = 531\n"


def test_a_call_whose_client_went_away_is_no_failure() -> None:
    result = told((load() + BROKE_OFF + LOST).encode())
    (call,) = result.of(Kind.CALL)
    assert (call.cause, call.text) == (
        "client",
        "a call of /api/generate broke off after 1.15 s: its client disconnected",
    )
    assert result.findings == []


@pytest.mark.parametrize("after", ["", load(B), BROKE_OFF + LOST])
def test_a_call_that_failed_is_a_finding_whatever_follows(after: str) -> None:
    result = told((load() + BROKE_OFF + after).encode())
    assert result.of(Kind.CALL)[0].cause == "failed"
    assert result.ids() == ["OLL609"]


def test_what_is_said_before_a_load_that_never_comes_is_told() -> None:
    cut = line("requested context size too large for model", "num_ctx=4096 n_ctx_train=2048", "WARN")
    (found,) = told((load() + cut).encode()).of(Kind.LIMITED)
    assert found.text.endswith("loaded with 2048 (the log does not show of which model)")
    (named,) = told((line("using llama-server for model", f"model={B}") + cut).encode()).of(Kind.LIMITED)
    assert named.text.endswith("loaded with 2048")


def test_a_context_that_is_cut_may_be_ollamas_default() -> None:
    cut = line("requested context size too large for model", "num_ctx=4096 n_ctx_train=2048", "WARN")
    (found,) = told((cut + load(context=2048)).encode()).of(Kind.LIMITED)
    assert found.text == "a context of 4096 exceeds what the model is made for, 2048: loaded with 2048"


@pytest.mark.parametrize(
    ("change", "words"),
    [(("--port 1", "--port 22"), "with the same options"), ((" -b 512", " -b 256"), "or came with other options")],
)
def test_a_load_again_with_the_same_command_has_the_same_options(change: tuple[str, str], words: str) -> None:
    (again,) = told((load() + load().replace(*change)).encode()).of(Kind.GONE)
    assert again.text.startswith("loaded again")
    assert words in again.text


# The prompt cache of one of several runners.


def test_a_cache_belongs_to_the_model_with_its_tokens() -> None:
    (found,) = told((load(A, 1, 1000, 2) + load(B, 2, 4096) + cache(2, 9, tokens=2048)).encode()).of(Kind.CACHE)
    assert found.model[7:8] == "a"  # of 2 x 1000 tokens, rounded up


def test_a_cache_that_may_be_of_several_is_said_to_be() -> None:
    (found,) = told((load(A) + load(B, 2) + cache(2, 9)).encode()).of(Kind.CACHE)
    assert found.model == ""
    assert "a runner of one of sha256:aaaaaaaaaaaa, sha256:bbbbbbbbbbbb" in found.text


def test_a_cache_of_many_prompts_belongs_to_the_runner_that_had_as_many() -> None:
    text = load(A) + cache(1, 3) + cache(2, 6) + load(B, 2) + cache(3, 9) + cache(4, 12.5) + load(B)
    found = told(text.encode()).of(Kind.CACHE)
    assert {one.model[7:8] for one in found} == {"a"}
    assert found[-1].facts["prompts"] == 4


def test_those_that_a_cache_may_be_of_are_those_of_its_line() -> None:
    result = told((load(A) + load(B, 2) + cache(1, 9) + cache(2, 10) + load(A)).encode())
    assert [one.model for one in result.of(Kind.CACHE)] == ["", ""]
    assert "one of sha256:aaaaaaaaaaaa, sha256:bbbbbbbbbbbb:" in result.of(Kind.CACHE)[-1].text


def test_small_change_is_not_said() -> None:
    assert told((load() + cache(1, 0.003) + cache(2, 0.9)).encode()).of(Kind.CACHE) == []


def test_one_prompt_is_one() -> None:
    (found,) = told((load() + cache(1, 3)).encode()).of(Kind.CACHE)
    assert "3 MiB in 1 prompt, of at most" in found.text


def test_growth_is_said_as_it_doubles_and_the_most_at_the_end() -> None:
    states = "".join(cache(number, number * 2.5) for number in range(1, 101))
    found = told((load() + states).encode()).of(Kind.CACHE)
    assert [one.facts["prompts"] for one in found] == [1, 2, 4, 8, 16, 32, 64, 100]


def test_a_default_bound_that_is_reached_stays_a_warning() -> None:
    room = "srv         alloc:  - making room for prompt cache entry, removing oldest entry (size = 3418.112 MiB)\n"
    result = told((load() + cache(27, 7377.676) + room + cache(24, 4100)).encode())
    assert [one.cause for one in result.of(Kind.CACHE)] == ["grows", "full"]
    (found,) = result.findings
    assert (found.severity, found.start.line) == (Severity.WARNING, 7)
    assert "has reached its bound: 7.2 GiB in 27 prompts, of at most 8 GiB" in found.finding.message


@pytest.mark.parametrize(("name", "is_set"), [("prompt-cache", False), ("prompt-cache-capped", True)])
def test_a_bound_that_is_set_is_not_advised_again(name: str, is_set: bool) -> None:
    (advice,) = [one.finding.advice for one in real(name).findings if one.finding.rule.id == "OLL614"]
    assert ("LLAMA_ARG_CACHE_RAM is set: a lower number" in advice) == is_set


def test_a_prompt_that_exceeds_the_cap_is_an_info() -> None:
    text = "srv         alloc:  - prompt state size 273.247 MiB exceeds cache size limit 32.000 MiB, skipping\n"
    result = told((load() + text).encode())
    assert [(one.finding.rule.id, one.severity) for one in result.findings] == [("OLL614", Severity.INFO)]
    assert "273.2 MiB is larger than its prompt cache may be (32 MiB)" in result.findings[0].finding.message
    assert "A higher LLAMA_ARG_CACHE_RAM keeps its state" in result.findings[0].finding.advice
