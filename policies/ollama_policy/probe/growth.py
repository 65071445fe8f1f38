"""What grows with different prompts, how far it will go, and what bounds it.

llama.cpp's server keeps the state of each prompt that another one takes the place of, whole, with the tokens of its
answer: the growth of a call is the KV cache of its tokens. It goes on up to LLAMA_ARG_CACHE_RAM MiB of each runner, or,
where that is negative, until as many tokens are kept as the context has (tools/server/server-task.cpp: alloc, update).
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from ollama_policy.probe import leak
from ollama_policy.probe.leak import MIB, Kind
from ollama_policy.probe.runner import (
    CACHE_VARIABLE,
    CHECKPOINTS_VARIABLE,
    DEFAULT_CHECKPOINTS,
    MLX_CACHE_BYTES,
    Engine,
    Runner,
)
from ollama_provider.ollama.variables import PROMPT_CACHE_MIB

LEAST_GROWTH: Final = MIB  # of a runner, over the different prompts: below it the noise of an allocator
_STOPPED: Final = 1 / 6  # of the calls, at their end, without growth: it has stopped
_GAPS: Final = 1.5


class Cause(StrEnum):
    """What grows."""

    PROMPT_CACHE = "prompt cache"
    CHECKPOINTS = "context checkpoints"
    PREFIX_CACHE = "prefix cache"
    WARM_UP = "warm-up"
    UNKNOWN = "not known"


class Bound(NamedTuple):
    """How far a cache goes: `size` in bytes, None where that is not known. `words` say what bounds it."""

    cause: Cause
    size: int | None
    words: str


class Growth(NamedTuple):
    """Growth over the different prompts. All but `calls` are bytes.

    `calls` are those that added to it, `a_call` each, `grown` in all; `has_stopped`: the last ones added nothing.
    `bound` is how much it may become, None where that is not known; `bounded_by` says by what.
    """

    cause: Cause
    grown: int
    calls: int
    a_call: int
    has_stopped: bool
    bound: int | None
    bounded_by: str


def bound_of(runner: Runner, a_token: float | None = None, *, has_checkpoints: bool = False) -> Bound | None:
    """The cache that grows in a runner; None where it has none. `a_token` is what a token takes in it, in bytes."""
    if runner.engine is Engine.MLX:
        return Bound(Cause.PREFIX_CACHE, MLX_CACHE_BYTES, "the MLX runner's own limit, which no variable sets")
    if runner.engine is not Engine.LLAMA_SERVER:
        return None
    limit, is_set = runner.setting(CACHE_VARIABLE, PROMPT_CACHE_MIB)
    if limit > 0:
        return Bound(Cause.PROMPT_CACHE, limit * MIB, _source(runner, f"{CACHE_VARIABLE}={limit}", is_set=is_set))
    if limit < 0:
        size = None if a_token is None or runner.context is None else round(a_token * runner.context)
        tokens = "" if runner.context is None else f" of {runner.context:,} tokens"
        return Bound(Cause.PROMPT_CACHE, size, f"the context{tokens} ({CACHE_VARIABLE}={limit})")
    checkpoints, is_set = runner.setting(CHECKPOINTS_VARIABLE, DEFAULT_CHECKPOINTS)
    if has_checkpoints and checkpoints > 0:
        words = _source(runner, f"{checkpoints} checkpoints a slot", is_set=is_set, variable=CHECKPOINTS_VARIABLE)
        return Bound(Cause.CHECKPOINTS, None, words)
    return None


def _source(runner: Runner, words: str, *, is_set: bool, variable: str = CACHE_VARIABLE) -> str:
    if is_set:
        return words
    if runner.environment is None:
        return f"llama.cpp's default, if {variable} is not set: the runner does not show its environment"
    return f"llama.cpp's default: {variable} is not set"


def growth(
    held: Sequence[int], leaks: float, runner: Runner | None, tokens: float, *, has_checkpoints: bool = False
) -> Growth | None:
    """What a runner's bytes, before the first of different prompts and after each, say; None: no growth.

    `leaks` are bytes that each call leaks whatever its prompt is, `tokens` those of a call, with its answer. The first
    call, and those that each use another slot for the first time, are the warm-up.
    """
    calls = len(held) - 1
    start = 1 if runner is None else min(runner.slots, calls // 3)
    own = [figure - leaks * call for call, figure in enumerate(held)][start:]
    if len(own) < 2:
        return None
    steps = [later - earlier for earlier, later in pairwise(own)]
    grown, a_call = own[-1] - own[0], _typical(steps)
    bound = None
    if runner is not None:
        bound = bound_of(runner, a_call / tokens if tokens else None, has_checkpoints=has_checkpoints)
    if bound is not None and grown >= LEAST_GROWTH and (bound.size is None or grown <= _most(bound.size, a_call)):
        return _growth(bound, steps, a_call)
    shape = leak.judge(held)
    if not leaks and shape.kind is Kind.LEAK:  # what is over a leak is not told from it
        return _growth(Bound(Cause.UNKNOWN, None, "nothing that is known"), steps, a_call)
    if not leaks and shape.kind is Kind.BOUNDED and grown >= leak.LEAST_GROWTH:
        return _growth(Bound(Cause.WARM_UP, None, "what a call uses"), steps, a_call)
    return None


def _growth(bound: Bound, steps: Sequence[float], a_call: float) -> Growth:
    kept = [number for number, step in enumerate(steps, 1) if step > a_call / 2]
    flat = len(steps) - (kept[-1] if kept else 0)
    has_stopped = flat >= max(3, len(steps) * _STOPPED)
    return Growth(bound.cause, round(sum(steps)), len(kept), round(a_call), has_stopped, bound.size, bound.words)


def _typical(steps: Sequence[float]) -> float:
    """The step of which half of all that was added comes from larger ones: neither noise nor one jump moves it."""
    up = sorted(step for step in steps if step > 0)
    half, so_far = sum(up) / 2, 0.0
    for step in up:
        so_far += step
        if so_far >= half:
            return step
    return 0.0


def _most(size: float, a_call: float) -> float:
    """What a full cache takes at most: the next prompt is there before the oldest goes, and the heap has gaps.

    Measured: 41 MiB of a cache of 33, of prompts of 3 MiB.
    """
    return size * _GAPS + 2 * a_call
