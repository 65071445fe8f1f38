"""What rounds of calls come to: QPS, latencies, and the story's gain with its confidence. Pure."""

from collections.abc import Sequence
from math import exp, log
from random import Random
from statistics import fmean, quantiles
from typing import NamedTuple

CONFIDENCE = 0.95
_RESAMPLES = 5_000


class Call(NamedTuple):
    """One call as the client saw it; `error` is empty where it was answered.

    `load_seconds` is what Ollama itself says that the call waited for its model.
    """

    seconds: float
    seconds_to_first_token: float
    tokens: int
    error: str = ""
    load_seconds: float = 0.0


class Round(NamedTuple):
    """The calls that one side made in its turn, and how long the turn took."""

    seconds: float
    calls: Sequence[Call]

    @property
    def qps(self) -> float:
        """Answered calls a second."""
        return sum(not call.error for call in self.calls) / self.seconds


class Figures(NamedTuple):
    """One side over all its rounds; seconds, and bytes for memory (0 where it could not be seen)."""

    qps: float
    p50: float
    p95: float
    p99: float
    first_token_p50: float
    errors: int
    calls: int
    memory: int


class Gain(NamedTuple):
    """(QPS_new - QPS_old) / QPS_old, and between what it is with CONFIDENCE."""

    gain: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        return self.low > 0 or self.high < 0


def figures_of(rounds: Sequence[Round], memory: int = 0) -> Figures:
    calls = [call for each in rounds for call in each.calls]
    answered = [call for call in calls if not call.error]
    seconds = [call.seconds for call in answered]
    return Figures(
        qps=len(answered) / sum(each.seconds for each in rounds),
        p50=percentile(seconds, 50),
        p95=percentile(seconds, 95),
        p99=percentile(seconds, 99),
        first_token_p50=percentile([call.seconds_to_first_token for call in answered], 50),
        errors=len(calls) - len(answered),
        calls=len(calls),
        memory=memory,
    )


def percentile(figures: Sequence[float], percent: int) -> float:
    """By linear interpolation, as numpy does it; 0 where there is nothing."""
    if len(figures) < 2:
        return figures[0] if figures else 0.0
    return quantiles(figures, n=100, method="inclusive")[percent - 1]


def gain_of(old: Sequence[Round], new: Sequence[Round]) -> Gain | None:
    """From pairs of rounds that were made one after the other. None where a side answered nothing."""
    ratios = [log(after.qps / before.qps) for before, after in zip(old, new, strict=True) if before.qps and after.qps]
    if not ratios or len(ratios) < len(old):
        return None
    draw = Random(0)  # noqa: S311 - the same figures are judged the same
    means = sorted(fmean(draw.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES))
    tail = int((1 - CONFIDENCE) / 2 * _RESAMPLES)
    return Gain(exp(fmean(ratios)) - 1, exp(means[tail]) - 1, exp(means[-tail - 1]) - 1)
