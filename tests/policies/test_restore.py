"""What a dry run says: the steps, and how the server is left."""

from datetime import UTC, datetime, timedelta

import pytest

from ollama_policy.commands.bench.sides import Case, sides_of
from ollama_policy.commands.bench.sides import steps as bench_steps
from ollama_policy.commands.probe.probing import Plan
from ollama_policy.commands.probe.probing import steps as probe_steps
from ollama_policy.live.restore import dry_run, promise
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.names import ModelName

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHAT = ModelName.parse("chat")
PINNED, TIMED = timedelta(days=292 * 365), timedelta(minutes=5)


def running(**left: timedelta) -> Running:
    models = (RunningModel(ModelName.parse(name), "a", NOW + rest, 1, 0, 2048) for name, rest in left.items())
    return Running(tuple(models), NOW)


@pytest.mark.parametrize(
    ("before", "sets_timers", "lines"),
    [
        (running(), True, ["in the end chat:latest is not in memory, as now"]),
        (running(chat=PINNED), True, ["in the end chat:latest is in memory, pinned, as now"]),
        (running(chat=TIMED), True, ["in the end chat:latest is in memory for another 5m, as now"]),
        (
            running(chat=TIMED),
            False,
            ["in the end chat:latest is in memory with its own timer, which each call restarts"],
        ),
        (
            running(a=TIMED, b=PINNED),
            False,
            [
                "in the end chat:latest is not in memory, as now",
                "it may interrupt a:latest, b:latest (pinned): what Ollama evicts for room is loaded again",
            ],
        ),
    ],
)
def test_how_a_server_is_left(before: Running, sets_timers: bool, lines: list[str]) -> None:
    assert promise(before, CHAT, sets_timers=sets_timers) == lines


def test_a_probe_of_what_is_in_memory_only_calls_it() -> None:
    plan = Plan(calls=61, concurrency=2, num_predict=8)
    calls = [
        "call chat:latest 30 times with prompts that differ, 2 at once, 8 tokens each",
        "make 10 of these the turns of a conversation where llama.cpp keeps checkpoints of it",
        "call it 31 times with one prompt, 2 at once, 8 tokens each",
    ]
    nothing = "interrupt nothing: no runner is ended or reloaded, and calls of others wait for a slot at most"
    assert probe_steps(CHAT, plan, is_in_memory=True) == [
        *calls,
        nothing,
        "leave it there, with what its prompt cache has kept of them: an unload gives that back",
    ]
    assert probe_steps(CHAT, plan, is_in_memory=True, num_ctx=512)[-3:] == [
        "send num_ctx 512 with each call, the context of its runner: so nothing is reloaded",
        nothing,
        "leave it there, with what its prompt cache has kept of them: an unload gives that back",
    ]
    assert probe_steps(CHAT, plan, is_in_memory=False) == [
        "load chat:latest with a keep_alive of 10m",
        *calls,
        "call it once more with a keep_alive of 1s, and wait until it is gone",
        "load it again, and unload it",
    ]
    [only, *_] = probe_steps(CHAT, plan._replace(varies=True), is_in_memory=True)
    assert only == "call chat:latest 61 times with prompts that differ, 2 at once, 8 tokens each"


def test_both_sides_of_a_comparison_are_told() -> None:
    sides = sides_of(Case.PINNED, CHAT, "http://one", "http://one", 16)
    assert dry_run("http://one", bench_steps(sides, 8, 4, 2), ["so be it"]) == (
        "on http://one this would\n"
        "  do in turn, 8 times and once to warm up:\n"
        "    unload chat:latest before each of 4 calls: cold: unloaded between calls\n"
        '    load chat:latest, pinned, and make 4 calls, 2 at once: pinned: memory_management = "manual"\n'
        "so be it\n"
        "nothing was done\n"
    )
    [_, old, new] = bench_steps(sides_of(Case.ALIGNED, CHAT, "http://one", "http://one", 16), 8, 4, 2)
    assert "which load chat:latest again at each change of num_ctx" in old
    assert "pinned, and make 4 calls" in new
