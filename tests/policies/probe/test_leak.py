"""What is called a leak, and what is not: noise, a warm-up, a cache that fills, a planted leak."""

import random

import pytest

from ollama_policy.commands.probe.leak import LEAST_CALLS, Kind, judge
from ollama_provider.ollama.sizes import MIB

KIB = 1024


def series(
    calls: int, seed: int, *, growth: float = 0.0, warm_up: float = 3 * MIB, noise: float = 1.5 * MIB
) -> list[int]:
    """Resident bytes: a warm-up that flattens, the noise of a collector, and a growth a call."""
    draw = random.Random(seed)
    return [
        round(80 * MIB + warm_up * (1 - 0.85**call) + growth * call + draw.gauss(0, noise)) for call in range(calls + 1)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_model_is_never_called_leaking(seed: int) -> None:
    assert judge(series(60, seed)).kind is not Kind.LEAK


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_of_a_mebibyte_a_call_is_found_within_sixty(seed: int) -> None:
    verdict = judge(series(60, seed, growth=MIB))
    assert verdict.kind is Kind.LEAK
    assert 0.9 * MIB < verdict.slope < 1.1 * MIB


@pytest.mark.parametrize("seed", range(20))
def test_a_cache_that_fills_has_a_bound(seed: int) -> None:
    filling = [round(80 * MIB + 60 * MIB * (1 - 0.95**call)) for call in range(61)]
    noise = random.Random(seed)
    assert judge([held + round(noise.gauss(0, MIB / 4)) for held in filling]).kind is Kind.BOUNDED


def test_a_small_growth_is_said_and_is_no_leak() -> None:
    verdict = judge(series(60, 0, growth=60 * KIB, warm_up=0, noise=20 * KIB))
    assert verdict.kind is Kind.SLOW
    assert 50 * KIB < verdict.slope < 70 * KIB


@pytest.mark.parametrize("leak", [0, MIB])
def test_the_steps_of_a_collector_are_no_leak_and_hide_none(leak: int) -> None:
    held = [0, 1.6, 1.9, 2.2, 2.0, 2.6, 2.8, 2.9, 2.9, 2.9, 3.0, 3.1, 3.6, 3.7, 3.7, 4.4, 4.4, 4.7, 5.7, 5.8, 5.8, 5.8]
    measured = [80 * MIB + round(of_one * MIB) for of_one in (*held, 5.8, 5.8, 5.9)]  # a real server in its first calls
    verdict = judge([one + leak * call for call, one in enumerate(measured)])
    assert (verdict.kind is Kind.LEAK) is (leak > 0)


@pytest.mark.parametrize("seed", range(20))
def test_growth_that_began_late_asks_for_more_calls(seed: int) -> None:
    draw = random.Random(seed)
    late = [max(0, call - 40) * MIB + round(draw.gauss(80 * MIB, MIB / 4)) for call in range(61)]
    assert judge(late).kind is Kind.SLOW


def test_what_a_real_server_adds_to_its_heap_is_steady() -> None:
    held = [round(9.2 * MIB + call * 6 * KIB) for call in range(31)]
    assert judge(held).kind is Kind.STEADY


def test_too_few_calls_decide_nothing() -> None:
    assert judge(series(LEAST_CALLS - 1, 0, growth=MIB)).kind is Kind.UNDECIDED


def test_the_same_figures_are_judged_the_same() -> None:
    assert judge(series(60, 7)) == judge(series(60, 7))


def test_figures_without_noise() -> None:
    assert judge([MIB] * 61).kind is Kind.STEADY
    assert judge([call * MIB for call in range(61)]).kind is Kind.LEAK
