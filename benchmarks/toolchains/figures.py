"""What a tool chain's turns come to, and the document's table with measured columns. Pure."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

from ollama_provider.ollama.sizes import MIB
from tests.engines.errors import EngineError

# Nats. PyTorch and TensorFlow differ by the order of their sums alone, by 0.00002 at most; Ollama keeps the KV cache in
# f16, and is up to 0.0194 from both.
TOLERANCE: Final = 0.03


class Turn(NamedTuple):
    """One life of a process, in bytes and seconds. `held` is resident: loaded, then settled after each call."""

    load_seconds: float
    started: int  # before the load
    held: Sequence[int]
    allocated: Sequence[int]  # m, of each call
    released: int  # resident after the documented release
    trimmed: int | None  # and after malloc_trim; None where nothing can be trimmed
    prompt_rate: float  # tokens a second
    rate: float


class Figures(NamedTuple):
    """Medians over the turns of one tool chain."""

    load_seconds: float
    model: int  # bytes that the load took
    allocated: int  # m, of a call
    returned: int  # r, of a call
    total: int  # M = sum(m - r) over all calls
    calls: int
    given_back: float  # part of what load and calls took that the release gives back
    trimmed: float | None
    prompt_rate: float
    rate: float


def figures_of(turns: Sequence[Turn]) -> Figures:
    def middle(values: Sequence[float]) -> float:
        return float(median(values))

    def returned(turn: Turn) -> float:
        held = zip(turn.held, turn.held[1:], strict=False)
        return middle([m - (now - before) for m, (before, now) in zip(turn.allocated, held, strict=True)])

    trimmed = [_part(turn, turn.trimmed) for turn in turns if turn.trimmed is not None]
    return Figures(
        load_seconds=middle([turn.load_seconds for turn in turns]),
        model=round(middle([turn.held[0] - turn.started for turn in turns])),
        allocated=round(middle([middle(turn.allocated) for turn in turns])),
        returned=round(middle([returned(turn) for turn in turns])),
        total=round(middle([turn.held[-1] - turn.held[0] for turn in turns])),
        calls=len(turns[0].allocated),
        given_back=middle([_part(turn, turn.released) for turn in turns]),
        trimmed=middle(trimmed) if trimmed else None,
        prompt_rate=middle([turn.prompt_rate for turn in turns]),
        rate=middle([turn.rate for turn in turns]),
    )


def _part(turn: Turn, left: int) -> float:
    return (turn.held[-1] - left) / (turn.held[-1] - turn.started)


def table(figures: Mapping[str, Figures]) -> list[str]:
    """Rows of Markdown, a column a tool chain."""
    calls = next(iter(figures.values())).calls
    rows: list[tuple[str, Callable[[Figures], str]]] = [
        ("load", lambda one: f"{one.load_seconds:.2f} s"),
        ("memory of the model, once called", lambda one: _mib(one.model)),
        ("m, allocated by a call", lambda one: _mib(one.allocated)),
        ("r, given back by a call", lambda one: _mib(one.returned)),
        (f"M over {calls} calls", lambda one: _mib(one.total)),
        ("given back by its release", lambda one: f"{one.given_back:.0%}"),
        ("and by malloc_trim", lambda one: "-" if one.trimmed is None else f"{one.trimmed:.0%}"),
        ("prompt, one thread", lambda one: f"{one.prompt_rate:,.0f} tokens/s"),
        ("answer, one thread", lambda one: f"{one.rate:,.0f} tokens/s"),
    ]
    lines = ["| | " + " | ".join(figures) + " |", "|---|" + "---|" * len(figures)]
    lines += [f"| {name} | " + " | ".join(told(one) for one in figures.values()) + " |" for name, told in rows]
    return lines


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"


def furthest(told: Mapping[int, float], reference: Mapping[int, float]) -> float:
    """The largest difference of the logarithms that both tell of, the likeliest tokens among them.

    Raises EngineError where those are not the same one.
    """
    likeliest = max(told, key=lambda token: told[token])
    expected = max(reference, key=lambda token: reference[token])
    if likeliest != expected:
        raise EngineError(f"token {likeliest} is the likeliest, expected {expected}: this is not the same model")
    return max(abs(told[token] - reference[token]) for token in told.keys() & reference.keys())
