"""What all benchmarks share: interleaved repetitions, medians with their spread, results and their table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.engines.ollama_server import OllamaServer
from tests.engines.toolchain import Engines

Report = Callable[[str], None]
Run = Callable[[], float]


@dataclass(frozen=True)
class Result:
    """One figure. `goal` is what it may be at most; without one it is only told."""

    what: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None
    goal: float | None = None
    detail: str = ""

    @property
    def holds(self) -> bool:
        return self.goal is None or self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds}


def interleaved(runs: Mapping[str, Run], pairs: int, report: Report) -> dict[str, list[float]]:
    """The seconds of each of the runs, `pairs` times in turn after one turn that does not count.

    Every other turn goes backwards, so that none of them always has the place after the same other.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(-1, pairs):
        for name in list(runs)[:: -1 if turn % 2 else 1]:
            took = runs[name]()
            if turn >= 0:
                seconds[name].append(took)
            report(f"{name}: {took:.2f} s ({f'{turn + 1} of {pairs}' if turn >= 0 else 'warming up'})")
    return seconds


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(what: str, ours: Sequence[float], peers: Sequence[float], goal: float | None) -> Result:
    """The medians' ratio, with the least and the most of the pairs' own ratios as its spread."""
    pairs = [our / peer for our, peer in zip(ours, peers, strict=True)]
    detail = f"{median(ours):.2f} s against {median(peers):.2f} s, {len(pairs)} pairs"
    return Result(what, median(ours) / median(peers), "x", min(pairs), max(pairs), goal, detail)


@contextmanager
def server_in_folder(
    engines: Engines, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[OllamaServer, Path]]:
    """A private Ollama, and the temporary folder that it lives in and others may use."""
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(TemporaryDirectory(prefix="ollama-iac-bench-")))
        server = OllamaServer(engines.ollama, folder / "ollama", environment)
        cleanup.callback(server.close)
        cleanup.callback(server.kill)
        server.start()
        yield server, folder


def table(results: Mapping[str, Sequence[Result]]) -> str:
    """All results as aligned lines."""
    rows = [("BENCHMARK", "WHAT", "VALUE", "SPREAD", "GOAL", "HOLDS", "DETAIL")]
    for name, figures in results.items():
        for figure in figures:
            spread = "" if figure.least is None or figure.most is None else f"{figure.least:.2f}-{figure.most:.2f}"
            goal = "" if figure.goal is None else f"<= {figure.goal:g}"
            holds = "" if figure.goal is None else ("yes" if figure.holds else "NO")
            rows.append((name, figure.what, shown(figure), spread, goal, holds, figure.detail))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def shown(figure: Result) -> str:
    digits = {"x": 2, "s": 2, "MiB": 2, "nats": 4}.get(figure.unit, 0)
    return f"{figure.value:.{digits}f} {figure.unit}".strip()
