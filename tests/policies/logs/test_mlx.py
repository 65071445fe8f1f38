"""MLX's runner in a log: lines as mlxrunner/ of 0.34.3 writes them; none is real, for it needs a Mac or CUDA."""

from ollama_policy.commands.logs.event import Kind
from ollama_policy.model.rule import Severity
from tests.policies.logs.told import told


def line(second: int, message: str, rest: str = "", level: str = "INFO") -> str:
    return f'time=2026-01-01T12:00:{second:02}.500Z level={level} source=client.go:1 msg="{message}" {rest}\n'


def load(name: str = "gemma4:mlx", count: int = 1, second: int = 1) -> str:
    return (
        line(second, "system memory", 'total="64.0 GiB" free="50.0 GiB" free_swap="0 B"')
        + line(second, "starting mlx runner subprocess", f"model={name} port=5")
        + line(second, "loaded runners", f"count={count}")
        + line(second + 3, "mlx runner is ready", "port=5")
    )


STOPPED = line(30, "stopping mlx runner subprocess", "pid=7")


def test_a_load_has_a_name_and_the_seconds_between_its_lines() -> None:
    result = told(load().encode())
    (found,) = result.events
    assert (found.kind, found.facts["seconds"], found.facts["context"]) == (Kind.LOAD, 3.0, None)
    assert found.facts["system_free_bytes"] == 50 * 2**30
    assert result.story.resident[0].shown == "gemma4:mlx"


def test_the_only_mlx_runner_is_the_one_that_stops() -> None:
    result = told((load() + STOPPED).encode())
    assert [(one.kind, one.model, one.cause) for one in result.events][1:] == [(Kind.UNLOADED, "gemma4:mlx", "")]
    assert result.story.resident == []


def test_of_two_the_one_that_stops_is_not_guessed() -> None:
    (stopped,) = told((load() + load("qwen3:mlx", 2, 10) + STOPPED).encode()).of(Kind.UNLOADED)
    assert stopped.model == ""


def test_a_debug_line_is_of_the_same_model() -> None:
    runner = "runner.name=registry.ollama.ai/library/gemma4:mlx runner.model=digest:abc"
    expired = line(29, "timer expired, expiring to unload", runner, "DEBUG")
    result = told((load() + expired + STOPPED).encode())
    assert [(one.kind, one.cause) for one in result.events][1:] == [(Kind.EXPIRED, ""), (Kind.UNLOADED, "expired")]
    assert len(result.story.models) == 1


def test_a_load_that_failed_is_not_an_unload() -> None:
    text = line(1, "starting mlx runner subprocess", "model=gemma4:mlx port=5")
    failed = line(2, "Load failed", 'model="" error="mlx runner failed: out of memory (exit: 1)"')
    result = told((text + STOPPED + failed).encode())
    assert [(one.kind, one.model, one.cause) for one in result.events] == [(Kind.FAILED, "gemma4:mlx", "memory")]


def test_memory_that_grows_from_call_to_call_is_an_info_that_no_variable_bounds() -> None:
    helds = ("9.10 GiB", "9.20 GiB", "9.30 GiB", "14.00 GiB")
    calls = "".join(line(20, "memory", f'peak="16.00 GiB" held="{held}"') for held in helds)
    result = told((load() + calls).encode())
    (found,) = result.findings
    assert (found.finding.rule.id, found.severity) == ("OLL614", Severity.INFO)
    assert found.finding.advice.startswith("No variable bounds it.")
    assert found.finding.message.startswith("gemma4:mlx: MLX holds 14 GiB after a call")
    assert "which no variable bounds" in found.finding.message
