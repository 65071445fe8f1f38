"""Whether the calls of a side met what the side is named for: a model that had to be loaded. Pure.

Ollama says of each answer how long it waited for its model (`load_duration`): a millisecond or a few where a runner was
there, a quarter of a second and more where one was started (both measured on 0.34.3).
"""

from collections.abc import Sequence
from statistics import median
from typing import Final

from ollama_policy.commands.bench.figures import Call, Round
from ollama_policy.commands.bench.sides import Side

_LEAST_SECONDS: Final = 0.02  # no process is started and ready in less
_TIMES: Final = 3  # as long as a call waits whose model is in memory


def doubt(side: Side, rounds: Sequence[Round], others: Sequence[Round]) -> str:
    """Why the calls of a side are not what it is named for; empty where they are. `others` are of the warm side."""
    calls = _answered(rounds)
    if not calls or not (side.is_cold or side.reloads):
        return ""
    least = _least(_answered(others))
    warm = [call for call in calls if call.load_seconds < least]
    waited = f"a load takes {least * 1000:.0f} ms or more here"
    if side.is_cold and warm:
        one = f"{warm[0].load_seconds * 1000:.1f} ms"
        return (
            f"{len(warm)} of {len(calls)} calls of the cold side were not cold, because they waited {one} for the "
            f"model, and {waited}: another client had loaded it"
        )
    if side.reloads and len(warm) == len(calls):
        return f"no call of the side whose num_ctx differ reloaded the model: {waited}"
    return ""


def _answered(rounds: Sequence[Round]) -> list[Call]:
    return [call for each in rounds for call in each.calls if not call.error]


def _least(warm: Sequence[Call]) -> float:
    return max(_LEAST_SECONDS, _TIMES * median([call.load_seconds for call in warm]) if warm else 0.0)
