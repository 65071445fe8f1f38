"""Whether memory that calls leave behind is a leak: by the slope that outlasts the warm-up, with its confidence.

It judges the calls with one prompt, which no cache keeps twice. What different prompts add is told by growth.py.

A runner's memory always grows over the first calls: pages of the weights that are touched for the first time, buffers
at their first use, an allocator that keeps what it was given back. That growth flattens. A leak does not: its last
calls add what the first ones added.
"""

from collections.abc import Sequence
from enum import StrEnum
from random import Random
from statistics import linear_regression
from typing import NamedTuple

from ollama_provider.ollama.sizes import MIB

# Growth below this is not a leak that anybody has to act on before the next restart: 1,000 calls add less than 128 MiB.
LEAST_LEAK = 128 * 1024
# Measured on 0.34.3: over calls with one prompt the server's own heap grew by up to 27 KiB a call, in 25 runs.
LEAST_SLOW = 32 * 1024
# Measured: the collector's heap in Ollama's processes still grew by up to 6 MiB, in steps, over the calls 8 to 24.
LEAST_GROWTH = 8 * MIB
LEAST_CALLS = 20
CONFIDENCE = 0.99
_WARM_UP = 1 / 3
_BLOCK = 5  # neighbouring calls are not independent: allocators and collectors work in steps
_RESAMPLES = 1_000
_FLATTENING = 0.5


class Kind(StrEnum):
    """What the growth is."""

    STEADY = "steady"  # no growth that its own noise does not explain, or so little that it does not matter
    BOUNDED = "bounded"  # it grows, and has a bound: a cache, or a warm-up that lasts
    LEAK = "leak"  # it grows by the same with every call, by more than LEAST_LEAK, and by LEAST_GROWTH in all
    SLOW = "slow"  # it grows by less than that, yet by more than LEAST_SLOW, and has not flattened: more calls tell
    UNDECIDED = "undecided"  # too few calls to tell, or growth that nothing explains


class Verdict(NamedTuple):
    """`slope` is bytes a call after the warm-up, between `low` and `high` with CONFIDENCE."""

    kind: Kind
    slope: float
    low: float
    high: float
    warm_up_calls: int
    warm_up_bytes: int


def judge(settled: Sequence[int]) -> Verdict:
    """Judges the bytes that were held before the first call and, settled, after each: `calls + 1` figures."""
    calls = len(settled) - 1
    warm_up = max(1, round(calls * _WARM_UP))
    if calls < LEAST_CALLS:
        return Verdict(Kind.UNDECIDED, 0.0, 0.0, 0.0, 0, 0)
    later = settled[warm_up:]
    low, high = _interval(later, Random(0))  # noqa: S311 - the same figures are judged the same
    return Verdict(_kind(later, low), slope(later), low, high, warm_up, settled[warm_up] - settled[0])


def _kind(held: Sequence[int], low: float) -> Kind:
    if low < LEAST_SLOW:
        return Kind.STEADY
    third, own = len(held) // 3, slope(held)
    first, middle, last = (slope(part) for part in (held[:third], held[third:-third], held[-third:]))
    is_growth = own * len(held) >= LEAST_GROWTH
    if last < _FLATTENING * max(first, own):
        return Kind.BOUNDED if is_growth else Kind.STEADY
    is_large = low >= LEAST_LEAK and is_growth
    is_even = min(first, middle) >= _FLATTENING * own
    return Kind.LEAK if is_large and is_even else Kind.SLOW


def slope(held: Sequence[float]) -> float:
    """Bytes a call, by least squares."""
    return linear_regression(range(len(held)), held).slope


def _interval(held: Sequence[int], random: Random) -> tuple[float, float]:
    """Of the slope, by a bootstrap of blocks of what the line does not explain."""
    line = linear_regression(range(len(held)), held)
    fitted = [line.intercept + line.slope * call for call in range(len(held))]
    rests = [figure - expected for figure, expected in zip(held, fitted, strict=True)]
    starts = range(len(rests) - _BLOCK + 1)
    slopes = []
    for _ in range(_RESAMPLES):
        drawn = [rest for start in random.choices(starts, k=len(rests)) for rest in rests[start : start + _BLOCK]]
        slopes.append(slope([expected + rest for expected, rest in zip(fitted, drawn, strict=False)]))
    slopes.sort()
    tail = (1 - CONFIDENCE) / 2
    return slopes[int(tail * _RESAMPLES)], slopes[int((1 - tail) * _RESAMPLES) - 1]
