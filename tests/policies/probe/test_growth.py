"""What the calls with different prompts say: figures as they were measured on a real 0.34.3, and their faults."""

import pytest

from ollama_policy.commands.probe.growth import Cause, Growth, of_prompts, of_turns
from ollama_policy.live.runners.runner import Engine, Runner
from ollama_provider.ollama.sizes import MIB

# MiB of a runner of 8 KiB of KV cache a token after each of 30 prompts of about 370 tokens, on a real 0.34.3.
FREE = "73.2 81.8 84.9 88.6 91.5 95.3 99.1 102.1 105.1 108 110.8 113.7 116.6 119.6 122.5 125.4 128.4 131.3 135.2 138.4"
FREE += " 141.2 144.2 147 150 152.9 156 158.9 162 165 168 171"
BY_CONTEXT = "73.1 81.9 84.9 88.6 91.6 95.3 99.1 102.1 105.1 108 110.8 113.7 116.6 116.6 116.6 116.6 116.6 116.6 116.7"
BY_CONTEXT += " 119.9 119.9 119.9 119.9 119.9 119.9 122.9 122.9 122.9 122.9 122.9 122.9"
OFF = "73.1 81.8 81.9 82.0 82.1" + " 82.2" * 13 + " 82.4" * 13


def bytes_of(measured: str) -> list[int]:
    return [round(float(figure) * MIB) for figure in measured.split()]


def told(held: list[int], cache: str = "", leaks: float = 0.0, slots: int = 1) -> Growth | None:
    environment = {"LLAMA_ARG_CACHE_RAM": cache} if cache else {}
    return of_prompts(held, leaks, Runner(1, Engine.LLAMA_SERVER, "", 4096, slots, environment), 370)


def test_a_cache_that_grows() -> None:
    found = told(bytes_of(FREE))
    assert found is not None
    assert (found.cause, found.calls, found.has_stopped, found.bound) == (Cause.PROMPT_CACHE, 29, False, 8192 * MIB)
    assert 2.8 * MIB < found.a_call < 3.2 * MIB


def test_a_cache_that_the_context_bounds() -> None:
    found = told(bytes_of(BY_CONTEXT), "-1")
    assert found is not None
    assert (found.cause, found.has_stopped) == (Cause.PROMPT_CACHE, True)
    assert found.bound is not None
    assert 31 * MIB < found.bound < 36 * MIB  # 4,096 tokens of 8 KiB are 32 MiB


# A cache of 32 MiB that is full after 11 of 29 calls; and one of 2 calls at once, whose last round took a gap.
CAPPED = "36.3 39.8 43.4 47 50.6 54.5 58.1 61.7 65.3 68.9 72.4 72.4 72.5 72.6 72.6 72.6 72.6 72.6 72.6 72.7 72.7 72.7"
CAPPED += " 72.7 72.7 72.7 72.7 72.8 72.8 72.8 72.8 76.7"
ROUNDS = "50 55 60 65 70 75 80.2 85.4 90.6 90.6 90.6 90.6 90.6 90.6 90.6 95.7"


def test_a_cache_that_is_full_has_stopped_though_a_late_call_took_a_gap_in_the_heap() -> None:
    found = told(bytes_of(CAPPED), "32")
    assert found is not None
    assert (found.calls, found.bound, found.has_stopped) == (10, 32 * MIB, True)
    rounds = told(bytes_of(ROUNDS), "32", slots=4)
    assert rounds is not None
    assert (rounds.calls, rounds.has_stopped) == (5, True)
    at_its_bound = told([80 * MIB + round(1.1 * call * MIB) for call in range(31)], "31")
    assert at_its_bound is not None
    assert at_its_bound.has_stopped
    below = told([80 * MIB + MIB * call for call in range(31)], "31")
    assert below is not None
    assert not below.has_stopped


def test_a_cache_that_is_off_does_not_grow() -> None:
    assert told(bytes_of(OFF), "0") is None
    assert told(bytes_of(OFF)) is None  # one that is full already does not either


@pytest.mark.parametrize("leak", [MIB // 4, MIB, 8 * MIB])
def test_a_leak_is_not_counted_to_the_cache(leak: int) -> None:
    leaking = [held + leak * call for call, held in enumerate(bytes_of(BY_CONTEXT))]
    found = told(leaking, "-1", leaks=leak)
    assert found is not None
    assert found == told(bytes_of(BY_CONTEXT), "-1")
    assert told([held + leak * call for call, held in enumerate(bytes_of(OFF))], "0", leaks=leak) is None


def test_slots_that_are_used_for_the_first_time_are_the_warm_up() -> None:
    filling = [80 * MIB + 3 * MIB * min(call, 4) for call in range(31)]
    assert told(filling, slots=4) is None
    assert told(filling, slots=1) is not None


def test_growth_past_the_bound_is_not_known() -> None:
    found = told(bytes_of(FREE), "8")
    assert found is not None
    assert (found.cause, found.bound) == (Cause.UNKNOWN, None)


def test_a_warm_up_that_lasts_and_ends() -> None:
    filling = [round(80 * MIB + 60 * MIB * (1 - 0.9**call)) for call in range(31)]
    found = told(filling, "0")
    assert found is not None
    assert found.cause is Cause.WARM_UP


def test_a_conversation_leaves_checkpoints() -> None:
    # Of a gemma3 with a window of 512 tokens whose checkpoints are 2 MiB, on a real 0.34.3 without a prompt cache.
    held = bytes_of("20.1 24.2 27.9 32.0 36.2 40.4 44.6 48.9 53.2 57.7 62.1")
    runner = Runner(1, Engine.LLAMA_SERVER, "", 4096, 2, {"LLAMA_ARG_CTX_CHECKPOINTS": "8"})
    found = of_turns(held, 0.0, runner)
    assert found is not None
    assert (found.cause, found.calls, found.has_stopped) == (Cause.CHECKPOINTS, 8, False)
    assert found.bound == pytest.approx(8 * 2 * 4.3 * MIB, rel=0.05)
    assert found.bounded_by == "at most 8 checkpoints of each of its 2 slots"
    default = of_turns(held, 0.0, runner._replace(environment={}))
    assert default is not None
    assert default.bounded_by.startswith("at most 32 checkpoints of each of its 2 slots, llama.cpp's default: ")
    assert of_turns(bytes_of("20.1 24.2 27.9" + " 28" * 8), 0.0, runner) is None
    assert of_turns([held + MIB * call for call, held in enumerate([20 * MIB] * 11)], MIB, runner) is None
    assert of_turns([], 0.0, runner) is None


def test_figures_without_a_runner_or_without_calls() -> None:
    assert of_prompts([MIB] * 31, 0.0, None, 0.0) is None
    assert of_prompts([MIB], 0.0, None, 0.0) is None
    assert of_prompts([], 0.0, None, 0.0) is None
