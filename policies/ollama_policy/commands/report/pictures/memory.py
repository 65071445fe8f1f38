"""Memory over time: what is held, call by call, with each call, load and release marked."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ollama_policy.commands.probe.account import Account
from ollama_policy.commands.probe.probing import Sample
from ollama_policy.commands.report.pictures import svg, words
from ollama_policy.commands.report.pictures.table import Table
from ollama_policy.commands.report.pictures.timeline import Event, events, rounds
from ollama_provider.ollama.sizes import MIB

_WIDTH, _BOTTOM, _LEFT, _RIGHT = 760, 56, 74, 20
_PLOT_HEIGHT, _ROW_HEIGHT, _LEGEND_HEIGHT, _CALLS_HEIGHT = 250, 18, 26, 14
_MOST_POINTS = 1_000  # of one curve: more than there are pixels
_MOST_ROWS = 120
_GAP = 30  # between the words of two events, so that they do not read as one
_STEPS = (1, 2, 2.5, 5, 10)


class _Curve(NamedTuple):
    kind: str
    words: str
    bytes_of: Callable[[Sample], int | None]
    moves_in_calls: bool = True


_CURVES = (
    _Curve("total", "server and runner, held", lambda sample: sample.held),
    _Curve("server", "the server alone", lambda sample: sample.server),
    _Curve("estimate", "/api/ps, an estimate", lambda sample: sample.ps_size, moves_in_calls=False),
)


def picture(account: Account) -> str:
    """The picture as SVG."""
    marks = events(account)
    end = max([sample.seconds for sample in account.samples], default=0) or 1
    rows = _rows(marks, end)
    top = _LEGEND_HEIGHT + _ROW_HEIGHT * (max(rows, default=0) + 1) + 10
    bottom = top + _PLOT_HEIGHT
    curves = {curve: _points(curve, account.samples) for curve in _CURVES}
    ticks = _ticks(max((held for points in curves.values() for _, held in points), default=0) / MIB)

    def across(seconds: float) -> float:
        return round(_LEFT + seconds / end * (_WIDTH - _LEFT - _RIGHT), 1)

    def up(held: float) -> float:
        return round(bottom - held / MIB / ticks[-1] * _PLOT_HEIGHT, 1)

    body = [
        *_legend([curve for curve, points in curves.items() if points]),
        *_axes(ticks, end, across, up, bottom),
        *_events(marks, rows, across, bottom),
        _calls(account, across, bottom),
    ]
    for curve, points in curves.items():
        drawn = " ".join(f"{across(seconds):g},{up(held):g}" for seconds, held in points)
        if drawn:
            body.append(f'<polyline points="{drawn}" class="{curve.kind}"/>')
    title = f"Memory of {account.model} over {words.seconds(end)}"
    size = (_WIDTH, bottom + _BOTTOM)
    return svg.picture("memory", title, description(account), size, "\n".join(body))


def description(account: Account) -> str:
    """What the picture shows, in words."""
    marks = ", ".join(f"{event.words} at {words.seconds(event.seconds)}" for event in events(account))
    made = account.calls[-1].number if account.calls else max((one.last for one in rounds(account.samples)), default=0)
    found = [f"{made} calls", marks]
    if account.calls:
        found.append(f"M, the sum of m - r, is {words.change(account.total)}")
    return "; ".join(one for one in (*found, words.verdict(account)) if one) + ". Straight lines join the samples."


def tables(account: Account) -> Iterator[Table]:
    rows = [
        (sample.phase, str(sample.call), words.seconds(sample.seconds), *_held(sample))
        for sample in account.samples
        if not sample.is_call
    ]
    heads = ("phase", "calls so far", "at", "server", "runner", "/api/ps, estimate")
    yield Table("What was in memory, phase by phase", heads, tuple(rows))
    if not account.calls:
        return
    every = max(1, -(-len(account.calls) // _MOST_ROWS))
    shown = [call for at, call in enumerate(account.calls) if at % every == 0 or call is account.calls[-1]]
    caption = "m, r and what is held, call by call" + (f": one in {every}" if every > 1 else "")
    calls = tuple(
        (
            str(call.number),
            call.phase,
            words.change(call.allocated),
            words.change(call.released),
            words.held(call.held),
        )
        for call in shown
    )
    yield Table(caption, ("call", "prompts", "m, allocated", "r, given back", "held"), calls)


def _held(sample: Sample) -> tuple[str, str, str]:
    return words.held(sample.server), words.held(sample.runners), words.held(sample.ps_size)


def _points(curve: _Curve, samples: Sequence[Sample]) -> list[tuple[float, int]]:
    points = [
        (sample.seconds, held)
        for sample in samples
        if (held := curve.bytes_of(sample)) is not None
        and (curve.moves_in_calls or not sample.is_call or sample.moment == "settled")
    ]
    return _thinned(points)


def _thinned(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """No more points than can be seen: of each stretch its lowest and its highest, so that no peak is lost."""
    length = -(-2 * len(points) // _MOST_POINTS)
    if length <= 2:
        return points
    stretches = (points[start : start + length] for start in range(0, len(points), length))
    return [
        point
        for stretch in stretches
        for point in sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])})
    ]


def _ticks(highest: float) -> list[float]:
    """From 0 to the highest or above, at steps that people count in."""
    if highest <= 0:
        return [0, 1]
    rough = highest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in _STEPS if power * factor >= rough * 0.999)
    return [step * number for number in range(math.ceil(highest / step * 0.999) + 1)]


def _axes(
    ticks: list[float], end: float, across: Callable[[float], float], up: Callable[[float], float], bottom: float
) -> Iterator[str]:
    for tick in ticks:
        yield svg.line(_LEFT, up(tick * MIB), _WIDTH - _RIGHT, up(tick * MIB), "rule")
        yield svg.text(_LEFT - 8, up(tick * MIB) + 4, f"{tick:,.10g}", "muted", "end")
    yield svg.text(_LEFT - 8, up(ticks[-1] * MIB) - 12, "MiB", "muted", "end")
    for tick in _ticks(end):
        if tick <= end:
            yield svg.text(across(tick), bottom + 42, f"{tick:.10g} s", "muted", "middle")


def _legend(curves: list[_Curve]) -> Iterator[str]:
    x = float(_LEFT)
    for curve in curves:
        yield svg.line(x, 13, x + 30, 13, curve.kind)
        yield svg.text(x + 36, 17, curve.words)
        x += 60 + len(curve.words) * svg.CHARACTER_WIDTH


def _rows(marks: list[Event], end: float) -> list[int]:
    """For each event the row of its words: the highest in which they meet no others."""
    ends: list[float] = []
    rows = []
    for event in marks:
        left, right = _span(event, _LEFT + event.seconds / end * (_WIDTH - _LEFT - _RIGHT))
        row = next((row for row, taken in enumerate(ends) if taken + _GAP < left), len(ends))
        ends[row : row + 1] = [right]
        rows.append(row)
    return rows


def _span(event: Event, x: float) -> tuple[float, float]:
    """Where its words are: to the right of its line, or to the left where there is no room."""
    width = len(event.words) * svg.CHARACTER_WIDTH + 8
    return (x, x + width) if x + width < _WIDTH else (x - width, x)


def _events(marks: list[Event], rows: list[int], across: Callable[[float], float], bottom: float) -> Iterator[str]:
    placed = [
        (event, across(event.seconds), _LEGEND_HEIGHT + _ROW_HEIGHT * (row + 1))
        for event, row in zip(marks, rows, strict=True)
    ]
    for _, x, y in placed:
        yield svg.line(x, y - 12, x, bottom, "event")
    for event, x, y in placed:
        is_right = _span(event, x)[0] == x
        yield svg.text(x + 4 if is_right else x - 4, y, event.words, "mark", "start" if is_right else "end")


def _calls(account: Account, across: Callable[[float], float], bottom: float) -> str:
    """One stroke a round below the curves, where it began. Those that fall on one pixel are one."""
    places = dict.fromkeys(across(one.start) for one in rounds(account.samples))
    strokes = "".join(f"M{x:g} {bottom + 8:g}v{_CALLS_HEIGHT}" for x in places)
    if not strokes:
        return ""
    return f'<path d="{strokes}" class="call"/>' + svg.text(_LEFT - 8, bottom + 19, "calls", "muted", "end")
