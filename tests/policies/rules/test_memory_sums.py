"""OLL201 to OLL206: what is reserved, beside what there is."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ollama_policy.live.capacity.observe import ServerDetails, to_json
from ollama_policy.live.snapshot import NoAnswer, OnDisk, ServerState
from ollama_policy.model.rule import Rule, Severity, Target
from ollama_policy.model.settings import Style
from ollama_policy.rules.context_by_gpu_memory import ContextByGpuMemory
from ollama_policy.rules.limit_too_small import LimitTooSmall
from ollama_policy.rules.no_memory_limit import NoMemoryLimit
from ollama_policy.rules.overhead_exceeds_gpu import OverheadExceedsGpu
from ollama_policy.rules.parallel_without_context import ParallelWithoutContext
from ollama_policy.rules.unbounded_prompt_cache import UnboundedPromptCache
from ollama_provider.ollama.answers import ModelDetails, Running
from ollama_provider.ollama.gguf_header import read_header_of
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import MIB, text_of
from tests.engines.tiny_models import write_llama
from tests.policies.conftest import Command
from tests.policies.rules.subjects import ANY, UNKNOWN, fixed, judged, model, places, server, written

GIB = 2**30
PARALLEL, CONTEXT, CACHE, OVERHEAD = (
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_CONTEXT_LENGTH",
    "LLAMA_ARG_CACHE_RAM",
    "OLLAMA_GPU_OVERHEAD",
)
MOST = "OLLAMA_MAX_LOADED_MODELS"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEW = {"image": "ollama/ollama:0.32.15"}
CONTAINER = {"image": "ollama/ollama:0.17.4"}

CASES: list[tuple[type[Rule], dict[str, Any], str | None]] = [
    (ParallelWithoutContext, {PARALLEL: "4"}, '"4"'),
    (ParallelWithoutContext, {PARALLEL: 2, CONTEXT: 0}, "2"),
    (ParallelWithoutContext, {PARALLEL: 2, CONTEXT: "8k"}, "2"),
    (ParallelWithoutContext, {PARALLEL: 2, **CONTAINER}, "2"),
    (ParallelWithoutContext, {PARALLEL: 2, CONTEXT: 8192}, None),
    (ParallelWithoutContext, {PARALLEL: 2, CONTEXT: UNKNOWN}, None),
    (ParallelWithoutContext, {PARALLEL: UNKNOWN}, None),
    (ParallelWithoutContext, {PARALLEL: 1}, None),
    (ParallelWithoutContext, {PARALLEL: 0}, None),
    (ParallelWithoutContext, {PARALLEL: "auto"}, None),
    (ParallelWithoutContext, {PARALLEL: 4, "image": "ollama/ollama:0.15.4"}, None),
    (ParallelWithoutContext, {PARALLEL: 4, "version": "0.5.12"}, None),
    (UnboundedPromptCache, {"memory_limit": 16 * GIB, **NEW}, f"{16 * GIB}"),
    (UnboundedPromptCache, {CACHE: -1, **NEW}, "-1"),
    (UnboundedPromptCache, {CACHE: "-1", "memory_limit": 64 * GIB, **NEW}, '"-1"'),
    (UnboundedPromptCache, {"memory_limit": 32 * GIB, **NEW}, f"{32 * GIB}"),  # three runners, 24 GiB
    (UnboundedPromptCache, {"memory_limit": 48 * GIB, **NEW}, None),
    (UnboundedPromptCache, {"memory_limit": 48 * GIB, MOST: 4, **NEW}, f"{48 * GIB}"),
    (UnboundedPromptCache, {"memory_limit": 16 * GIB, MOST: 1, **NEW}, None),
    (UnboundedPromptCache, {"memory_limit": 64 * GIB, "gpu_count": 2, **NEW}, f"{64 * GIB}"),
    (UnboundedPromptCache, {"memory_limit": 64 * GIB, "gpu_count": UNKNOWN, **NEW}, None),
    (UnboundedPromptCache, {"memory_limit": 16 * GIB, MOST: UNKNOWN, **NEW}, None),
    (UnboundedPromptCache, {CACHE: 12288, "memory_limit": 16 * GIB, MOST: 3, **NEW}, "12288"),
    (UnboundedPromptCache, {CACHE: 12288, "memory_limit": 16 * GIB, "image": "ollama/ollama"}, "12288"),
    (UnboundedPromptCache, {CACHE: "auto", "memory_limit": 16 * GIB, **NEW}, None),  # OLL110
    (UnboundedPromptCache, {CACHE: -2, **NEW}, "-2"),
    (UnboundedPromptCache, {CACHE: -1, **CONTAINER}, None),
    (UnboundedPromptCache, {CACHE: 512, "memory_limit": 16 * GIB, **NEW}, None),
    (UnboundedPromptCache, {CACHE: 0, "memory_limit": 16 * GIB, **NEW}, None),
    (UnboundedPromptCache, {CACHE: UNKNOWN, "memory_limit": 16 * GIB, **NEW}, None),
    (UnboundedPromptCache, {"memory_limit": UNKNOWN, **NEW}, None),
    (UnboundedPromptCache, {**NEW}, None),
    (UnboundedPromptCache, {"memory_limit": 16 * GIB, **CONTAINER}, None),
    (UnboundedPromptCache, {"memory_limit": 16 * GIB, "image": "ollama/ollama"}, f"{16 * GIB}"),
    (NoMemoryLimit, {**CONTAINER}, '"ollama/ollama:0.17.4"'),
    (NoMemoryLimit, {"memory_limit": GIB, **CONTAINER}, None),
    (NoMemoryLimit, {"memory_limit": UNKNOWN, **CONTAINER}, None),
    (NoMemoryLimit, {"image": UNKNOWN}, None),
    (NoMemoryLimit, {PARALLEL: 1}, None),
    (LimitTooSmall, {CACHE: 8192, "memory_limit": 8 * GIB, **NEW}, "8192"),
    (LimitTooSmall, {CACHE: 8191, "memory_limit": 8 * GIB, **NEW}, None),
    (LimitTooSmall, {CACHE: 8192, "memory_limit": 8 * GIB, **CONTAINER}, None),  # not read by this version
    (LimitTooSmall, {CACHE: -1, "memory_limit": 8 * GIB, **NEW}, None),  # OLL202
    (LimitTooSmall, {CACHE: 8192, **NEW}, None),
    (OverheadExceedsGpu, {OVERHEAD: 2**40}, f"{2**40}"),
    (OverheadExceedsGpu, {OVERHEAD: 2**37}, None),
    (OverheadExceedsGpu, {OVERHEAD: "1GB"}, None),  # OLL103
]


@pytest.mark.parametrize(("rule", "values", "place"), CASES)
def test_sums(rule: type[Rule], values: dict[str, Any], place: str | None) -> None:
    assert places(rule, server(values)) == ([] if place is None else [place])


def test_what_was_not_seen_may_set_it() -> None:
    for rule, values in (
        (ParallelWithoutContext, {PARALLEL: 4}),
        (UnboundedPromptCache, {"memory_limit": 16 * GIB, **NEW}),
        (NoMemoryLimit, CONTAINER),
    ):
        assert places(rule, server(values, unknown=UNKNOWN)) == []


def test_a_command_line_has_no_place_for_a_limit() -> None:
    assert places(NoMemoryLimit, server(CONTAINER, style=Style.BARE)) == []


def test_bounds_are_added() -> None:
    (finding,) = judged(ParallelWithoutContext, [server({PARALLEL: 4})])
    assert "each of 4096 tokens without a GPU" in finding.message
    assert finding.fixes[0].title == "set OLLAMA_CONTEXT_LENGTH to 4096"  # no more than without a word
    assert fixed(finding) == f'# ollama\n{PARALLEL} = 4\n{CONTEXT} = "4096"\n'
    (finding,) = judged(UnboundedPromptCache, [server({CACHE: -1, **NEW})])
    assert fixed(finding).startswith(f'# ollama\n{CACHE} = "512"\n')


@pytest.mark.parametrize(("target", "place"), [(Target(memory_bytes=16 * GIB), ["ollama"]), (ANY, [])])
def test_the_machines_memory_counts_where_the_server_has_no_limit(target: Target, place: list[str]) -> None:
    assert places(UnboundedPromptCache, server(NEW), target=target) == place


@pytest.mark.parametrize(("limit", "mib"), [(32 * GIB, 512), (16 * GIB, 512), (2 * GIB, 341)])
def test_the_bound_that_is_offered_is_one(limit: int, mib: int) -> None:
    (finding,) = judged(UnboundedPromptCache, [server({"memory_limit": limit, **NEW})])
    part = "more than" if limit < 24 * GIB else "more than half of"
    assert finding.message.endswith(f"may grow to 24 GiB, {part} the limit of {text_of(limit)}")
    assert f'{CACHE} = "{mib}"' in fixed(finding)
    assert places(UnboundedPromptCache, server({"memory_limit": limit, CACHE: mib, **NEW})) == []


def test_a_negative_bound_is_told_as_what_it_is() -> None:
    (finding,) = judged(UnboundedPromptCache, [server({CACHE: "-2", "memory_limit": 64 * GIB, **NEW})])
    assert finding.severity is Severity.INFO
    assert "-2 bounds the prompt cache of each runner by the tokens of its context" in finding.message


@pytest.mark.parametrize(
    ("names", "is_found"),
    [
        (["llama3:8b"], True),
        (["qwen3-vl:8b"], False),
        (["lfm2.5-thinking", "nomic-embed-text:v1.5"], False),
        (["lfm2.5-thinking", "llama3"], True),
        (["me/qwen3.5"], True),  # somebody's own: what it is made of is not known
        ([UNKNOWN], True),
        (["lfm20"], True),
    ],
)
def test_models_that_run_one_request_at_a_time_need_no_context_for_each(names: list[Any], is_found: bool) -> None:
    declared = [model({"name": name, "memory_management": "manual"}) for name in names]
    assert places(ParallelWithoutContext, server({PARALLEL: 4}), *declared) == (["4"] if is_found else [])


GPU = Target(gpu_memory_bytes=48 * GIB)


@pytest.mark.parametrize(
    ("values", "target", "is_found"),
    [
        ({"version": "0.34.3"}, GPU, True),
        ({"version": "0.34.3"}, Target(gpu_memory_bytes=24 * GIB, gpu_count=2), True),
        ({"version": "0.34.3"}, Target(gpu_memory_bytes=24 * GIB), False),
        ({"version": "0.34.3"}, ANY, False),
        ({"version": "0.34.3", CONTEXT: 8192}, GPU, False),
        ({"version": "0.34.3", CONTEXT: UNKNOWN}, GPU, False),
        ({"version": "0.34.3", PARALLEL: 4}, GPU, False),  # OLL201
        ({"version": "0.34.3", OVERHEAD: 2 * GIB}, GPU, False),
        ({"version": "0.15.4"}, GPU, False),
        ({"image": "ollama/ollama:0.34.3"}, GPU, False),  # a container without a GPU
        ({"image": "ollama/ollama:0.34.3", "gpu_count": 1}, GPU, True),
        ({"image": "ollama/ollama:0.34.3", "gpu_count": 1}, Target(gpu_memory_bytes=24 * GIB), False),
    ],
)
def test_the_longest_context_by_the_gpus_memory(values: dict[str, Any], target: Target, is_found: bool) -> None:
    assert len(judged(ContextByGpuMemory, [server(values)], target)) == is_found


@pytest.mark.parametrize(("memory", "is_too_much"), [(8 * GIB, True), (8 * GIB + 1, False)])
def test_the_overhead_beside_the_gpu_that_there_is(memory: int, is_too_much: bool) -> None:
    target = Target(gpu_memory_bytes=memory)
    found = places(OverheadExceedsGpu, server({OVERHEAD: 8 * GIB}), target=target)
    assert found == ([f"{8 * GIB}"] if is_too_much else [])


def pinned(name: object, **values: Any) -> Any:
    return model({"name": name, "memory_management": "manual"} | values)


SMALL = {"memory_limit": 16 * GIB, **CONTAINER}


@pytest.mark.parametrize(
    "models",
    [
        [pinned("llama3.1:70b")],
        [pinned("a:20b"), pinned("b:20b")],
        [pinned("a:8b"), pinned("deepseek-r1:671B")],
    ],
)
def test_weights_that_no_limit_holds(models: list[Any]) -> None:
    assert places(LimitTooSmall, server(SMALL), *models) == [f"{16 * GIB}"]


@pytest.mark.parametrize(
    "subjects",
    [
        [server(SMALL), pinned("llama3.1:8b")],
        [server(SMALL), pinned("a:20b"), pinned("A:20b")],
        [server(SMALL), pinned("llama3.1:70b-instruct-q2_K")],
        [server(SMALL), pinned("me/llama3.1:70b")],
        [server(SMALL), pinned("hf.co/me/llama3.1:70b")],
        [server(SMALL), pinned("llama3.1:70b", base="tiny")],
        [server(SMALL), pinned("llama3.1:70b", host="other")],
        [server(SMALL), pinned("llama3.1:70b", resident=False)],
        [server(SMALL), model({"name": "llama3.1:70b", "keep_alive": "5m"})],
        [server(SMALL), pinned(UNKNOWN)],
        [server(SMALL | {"gpu_count": 1}), pinned("llama3.1:70b")],
        [server(SMALL | {"gpu_count": UNKNOWN}), pinned("llama3.1:70b")],
        [server(SMALL | {"image": "ollama/ollama:0.17.4-rocm"}), pinned("llama3.1:70b")],
        [server(SMALL, unknown=UNKNOWN), pinned("llama3.1:70b")],
        [server(SMALL), server(CONTAINER), pinned("llama3.1:70b")],
        [server(CONTAINER), pinned("llama3.1:70b")],
        [pinned("llama3.1:70b")],
    ],
)
def test_nothing_certain_about_a_limit(subjects: list[Any]) -> None:
    assert places(LimitTooSmall, *subjects) == []


@pytest.mark.parametrize(
    ("target", "subjects", "place"),
    [
        (Target(memory_bytes=16 * GIB), [server(CONTAINER), pinned("llama3.1:70b")], ['"manual"']),
        (Target(memory_bytes=16 * GIB), [pinned("llama3.1:70b")], ['"manual"']),
        (Target(memory_bytes=64 * GIB), [server(SMALL), pinned("llama3.1:70b")], [f"{16 * GIB}"]),
        (Target(memory_bytes=64 * GIB), [pinned("llama3.1:70b")], []),
        (Target(memory_bytes=16 * GIB, gpu_count=1), [pinned("llama3.1:70b")], []),
        (Target(memory_bytes=16 * GIB, gpu_memory_bytes=24 * GIB), [pinned("llama3.1:70b")], []),
        (Target(memory_bytes=16 * GIB, gpu_memory_bytes=8 * GIB), [pinned("llama3.1:70b")], ['"manual"']),
        (Target(memory_bytes=16 * GIB, gpu_memory_bytes=8 * GIB, gpu_count=4), [pinned("llama3.1:70b")], []),
    ],
)
def test_the_machine_of_the_configuration_is_a_limit_too(target: Target, subjects: list[Any], place: list[str]) -> None:
    assert places(LimitTooSmall, *subjects, target=target) == place


LONG = {"parameters": {"num_ctx": 16384}}


@pytest.fixture
def gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Weights of 4 MiB whose cache takes 128 MiB at a context of 16,384."""
    monkeypatch.chdir(tmp_path)
    write_llama(tmp_path / "m.gguf", layers=16, width=128, heads=2, context_length=16384)
    return "m.gguf"


@pytest.mark.parametrize(
    ("limit", "values", "is_found"),
    [
        (100 * MIB, LONG, True),
        (400 * MIB, LONG, False),
        (100 * MIB, {"parameters": {"num_ctx": 512}}, False),
        (100 * MIB, LONG | {"resident": False}, False),
        (100 * MIB, LONG | {"host": "other"}, False),
    ],
)
def test_what_a_gguf_in_the_tree_surely_takes(gguf: str, limit: int, values: dict[str, Any], is_found: bool) -> None:
    found = judged(LimitTooSmall, [server({"memory_limit": limit, **CONTAINER}), pinned("m", gguf=gguf, **values)])
    assert [written(one) for one in found] == ([f"{limit}"] if is_found else [])
    if found:
        assert found[0].message == "the models that are declared resident do not fit into 100 MiB: m:latest"
        assert 128 * MIB < int(float(found[0].label.split()[-2]) * MIB) < 220 * MIB, found[0].label


def test_the_variables_of_the_server_count(gguf: str) -> None:
    one = pinned("m", gguf=gguf, parameters={"num_ctx": 4096})
    for parallel, count in ((1, 0), (4, 1)):
        box = server({"memory_limit": 100 * MIB, PARALLEL: parallel, **CONTAINER})
        assert len(judged(LimitTooSmall, [box, one])) == count


def test_what_a_snapshot_says_a_model_is_made_of(gguf: str, tmp_path: Path) -> None:
    header = read_header_of(Path(gguf))
    name = ModelName.parse("chat")
    details = ModelDetails("sha256:a", 16384, ("completion",), "", 16384, dict(header.model_info))
    seen = ServerState("http://one", True, "0.17.4", {name: OnDisk("a", header.weights_bytes)}, Running((), NOW))
    (tmp_path / "seen.json").write_text(
        to_json([ServerDetails(seen, {name: details}), NoAnswer("http://two", True, "down")])
    )
    box = server({"memory_limit": 100 * MIB, **CONTAINER})
    assert judged(LimitTooSmall, [box, pinned("chat")]) == []
    (found,) = judged(LimitTooSmall, [box, pinned("chat")], Target(snapshot="seen.json"))
    assert "declared resident do not fit into 100 MiB: chat:latest" in found.message


def test_a_snapshot_that_is_none_is_told_where_the_configuration_is_read(tree: Path, command: Command) -> None:
    (tree / "ollama-policy.toml").write_text('snapshot = "seen.json"\n')
    (tree / "m.tf").write_text("")
    result = command("check")
    assert (result.exit_code, "snapshot seen.json: No such file or directory" in result.stderr) == (2, True)
    (tree / "seen.json").write_text("{}")
    result = command("check")
    assert (result.exit_code, "snapshot seen.json: " in result.stderr) == (2, True)
