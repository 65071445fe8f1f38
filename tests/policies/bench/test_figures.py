"""The document's gain: shown where there is one, and not where noise could have made it."""

import random

import pytest

from ollama_policy.commands.bench.figures import Call, Round, figures_of, gain_of, percentile


def rounds(qps: float, seed: int, noise: float = 0.1, count: int = 8) -> list[Round]:
    """Rounds of ten calls at about so many a second."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        seconds = 10 / (qps * draw.lognormvariate(0, noise))
        made.append(Round(seconds, [Call(seconds / 10, seconds / 100, 16)] * 10))
    return made


def test_the_documents_own_numbers() -> None:
    old, new = rounds(50, 1, noise=0), rounds(100, 2, noise=0)
    gain = gain_of(old, new)
    assert gain is not None
    assert gain.gain == pytest.approx(1.0)
    assert gain.is_shown


def test_no_difference_is_seldom_shown_as_one() -> None:
    gains = [gain_of(rounds(10, seed), rounds(10, seed + 1000)) for seed in range(100)]
    assert sum(gain is not None and gain.is_shown for gain in gains) <= 15


@pytest.mark.parametrize("seed", range(10))
def test_a_gain_of_a_half_is_shown(seed: int) -> None:
    gain = gain_of(rounds(10, seed), rounds(15, seed + 1000))
    assert gain is not None
    assert gain.low > 0


def test_errors_are_counted_and_are_no_qps() -> None:
    failed = Round(2.0, [Call(1.0, 0.5, 16), Call(1.0, 1.0, 0, "HTTP 500")])
    figures = figures_of([failed])
    assert (figures.qps, figures.errors, figures.calls, figures.p50) == (0.5, 1, 2, 1.0)


def test_a_side_that_answers_nothing_has_no_gain() -> None:
    dead = [Round(1.0, [Call(1.0, 1.0, 0, "HTTP 500")])] * 8
    assert gain_of(rounds(10, 0), dead) is None
    assert figures_of(dead).p99 == 0.0


def test_percentiles_of_few_figures() -> None:
    assert percentile([], 50) == 0.0
    assert percentile([3.0], 99) == 3.0
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
