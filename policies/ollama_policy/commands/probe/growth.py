"""What grows with prompts that differ, how far it will go, and what bounds it.

llama.cpp's server keeps the state of each prompt that another one takes the place of, whole, with the tokens of its
answer: the growth of a call is the KV cache of its tokens. It goes on up to LLAMA_ARG_CACHE_RAM MiB of each runner, or,
where that is negative, until as many tokens are kept as the context has (tools/server/server-task.cpp: alloc, update).
Of a model with sliding windows or recurrent states it keeps checkpoints of the context, too: up to
LLAMA_ARG_CTX_CHECKPOINTS a slot, of a conversation that goes on (tools/server/server-context.cpp: create_checkpoint).
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from ollama_policy.commands.probe import leak
from ollama_policy.commands.probe.leak import Kind
from ollama_policy.formats.writing import many
from ollama_policy.live.runners.runner import (
    CACHE_VARIABLE,
    CHECKPOINTS_VARIABLE,
    MLX_CACHE_BYTES,
    Engine,
    Runner,
)
from ollama_provider.ollama.settings.variables import PROMPT_CACHE_MIB
from ollama_provider.ollama.sizes import MIB

LEAST_GROWTH: Final = MIB  # of a runner, over the different prompts: below it the noise of an allocator
_STOPPED: Final = 1 / 6  # of the calls, at their end, without growth: it has stopped
_STRAYS: Final = 1.5  # steps among the later half of the calls: a full heap that takes in one prompt more
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

    `calls` are those that added to it, `a_call` each, `grown` in all; `has_stopped`: the last ones added nothing, the
    later half next to nothing, or it has reached its bound.
    `bound` is how much it may become, None where that is not known; `bounded_by` says by what.
    """

    cause: Cause
    grown: int
    calls: int
    a_call: int
    has_stopped: bool
    bound: int | None
    bounded_by: str


def bound_of(runner: Runner, a_token: float | None = None) -> Bound | None:
    """The cache that different prompts fill; None where a runner has none. `a_token` is the bytes of a token in it."""
    if runner.engine is Engine.MLX:
        return Bound(Cause.PREFIX_CACHE, MLX_CACHE_BYTES, "the MLX runner's own limit, which no variable sets")
    if runner.engine is not Engine.LLAMA_SERVER:
        return None
    limit, is_set = runner.setting(CACHE_VARIABLE, PROMPT_CACHE_MIB)
    if limit == 0:
        return None
    if limit > 0:
        words = f"{CACHE_VARIABLE}={limit}" if is_set else _default(runner, CACHE_VARIABLE)
        return Bound(Cause.PROMPT_CACHE, limit * MIB, words)
    size = None if a_token is None or runner.context is None else round(a_token * runner.context)
    tokens = "" if runner.context is None else f" of {runner.context:,} tokens"
    return Bound(Cause.PROMPT_CACHE, size, f"the context{tokens}, {CACHE_VARIABLE}={limit}")


def _default(runner: Runner, variable: str) -> str:
    if runner.environment is None:
        return f"llama.cpp's default, if {variable} is not set: the runner does not show its environment"
    return f"llama.cpp's default: {variable} is not set"


def of_prompts(held: Sequence[int], leaks: float, runner: Runner | None, tokens: float) -> Growth | None:
    """What a runner's bytes, before the first of different prompts and after each, say; None: no growth.

    `leaks` are bytes that each call leaks whatever its prompt is, `tokens` those of a call, with its answer. The first
    call, and those that each use another slot for the first time, are the warm-up.
    """
    calls = len(held) - 1
    steps = _steps(held, leaks, 1 if runner is None else min(runner.slots, calls // 3))
    grown, a_call = sum(steps), _typical(steps)
    bound = None if runner is None else bound_of(runner, a_call / tokens if tokens else None)
    if bound is not None and grown >= LEAST_GROWTH and (bound.size is None or grown <= _most(bound.size, a_call)):
        return _growth(bound, steps, a_call)
    if leaks or not steps:  # what is over a leak is not told from it
        return None
    shape = leak.judge(held)
    if shape.kind is Kind.LEAK:
        return _growth(Bound(Cause.UNKNOWN, None, "nothing that is known"), steps, a_call)
    if shape.kind is Kind.BOUNDED and grown >= leak.LEAST_GROWTH:
        return _growth(Bound(Cause.WARM_UP, None, "what a call uses"), steps, a_call)
    return None


def of_turns(held: Sequence[int], leaks: float, runner: Runner) -> Growth | None:
    """As `of_prompts`, of the turns of a conversation; the first two use the context, and the cache for what was there.

    Each turn may leave a checkpoint, and none is larger than what a turn adds.
    """
    steps = _steps(held, leaks, 2)
    a_turn = _typical(steps)
    if sum(steps) < LEAST_GROWTH:
        return None
    words = f"at most {runner.checkpoints} checkpoints of each of its {many(runner.slots, 'slot')}"
    if not runner.setting(CHECKPOINTS_VARIABLE, 0)[1]:
        words += f", {_default(runner, CHECKPOINTS_VARIABLE)}"
    bound = Bound(Cause.CHECKPOINTS, round(a_turn * runner.checkpoints * runner.slots), words)
    return _growth(bound, steps, a_turn)


def _steps(held: Sequence[int], leaks: float, warm_up: int) -> list[float]:
    """What each call after the warm-up added, but for what it leaked."""
    return [later - earlier - leaks for earlier, later in pairwise(held[warm_up:])]


def _growth(bound: Bound, steps: Sequence[float], a_call: float) -> Growth:
    kept = [number for number, step in enumerate(steps, 1) if step > a_call / 2]
    flat = len(steps) - (kept[-1] if kept else 0)
    later = steps[len(steps) // 2 :]
    has_stopped = (
        flat >= max(3, len(steps) * _STOPPED)
        or (len(later) > _STRAYS + 1 and sum(later) <= _STRAYS * a_call)
        or (bound.size is not None and sum(steps) >= bound.size)
    )
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
