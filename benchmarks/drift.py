"""`ollama-policy drift` over a fleet of fakes: how long, how much memory, and what silent servers cost the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import peers
from benchmarks.check import PEAK
from benchmarks.measuring import Report, Result, timed
from ollama_provider.ollama.sizes import MIB
from tests.engines.errors import EngineError
from tests.engines.toolchain import Engines

SERVERS, MODELS, RUNS = 200, 20, 5
_DRIFT = (sys.executable, "-c", "from ollama_policy.__main__ import main; main()", "drift")


def measure(_engines: Engines, report: Report) -> list[Result]:
    with TemporaryDirectory(prefix="ollama-iac-bench-") as name:
        folder = Path(name)
        declare(folder)
        with fakes(folder, silent=0) as hosts:
            command: list[str | Path] = [*_DRIFT, folder / "models.yaml", "--hosts-file", hosts, "--format", "json"]
            look(command, up=SERVERS)
            took = [timed(lambda: look(command, up=SERVERS)) for _ in range(RUNS)]
            report(f"{SERVERS} servers: {median(took):.2f} s")
            peak = subprocess.run(
                [sys.executable, "-c", PEAK, *command], stdout=subprocess.PIPE, text=True, env=peers.environment()
            )
        with fakes(folder, silent=SERVERS // 2) as hosts:
            command = [*_DRIFT, folder / "models.yaml", "--hosts-file", hosts, "--format", "json", "--timeout", "2s"]
            half = [timed(lambda: look(command, up=SERVERS // 2)) for _ in range(3)]
            report(f"half of them silent, with a deadline of 2 s: {median(half):.2f} s")
    what = f"{SERVERS} fake servers of {MODELS} models"
    return [
        Result(what, median(took), "s", min(took), max(took), 2, f"{RUNS} runs, the start of the program included"),
        Result(f"{what}, peak resident memory", int(peak.stdout) * 1024 / MIB, "MiB", goal=100),
        Result("half of them silent, a deadline of 2 s", median(half), "s", min(half), max(half), 2 + median(took)),
    ]


def declare(folder: Path) -> None:
    """All models, one in four resident, as the fakes have them."""
    models = [
        {"name": f"model-{number}", "memory_management": "automatic" if number % 4 else "manual"}
        for number in range(MODELS)
    ]
    (folder / "models.yaml").write_text(json.dumps({"models": models}))


@contextmanager
def fakes(folder: Path, silent: int) -> Iterator[Path]:
    """A file with the addresses of a fleet that is up."""
    command = [sys.executable, "-m", "benchmarks.fake_fleet", str(SERVERS), str(MODELS), str(silent)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            hosts = folder / f"hosts-{silent}"
            hosts.write_text("".join(iter(process.stdout.readline, "\n")))
            yield hosts
        finally:
            process.stdin.close()


def look(command: list[str | Path], up: int) -> None:
    """Raises EngineError where it does not find what is there: its time would be of something else."""
    ran = subprocess.run(command, capture_output=True, text=True, env=peers.environment())
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        raise EngineError(f"drift ended with {ran.returncode}: {ran.stderr[-500:]}") from None
    found = sum(server["is_up"] for server in report["servers"])
    if (found, len(report["findings"])) != (up, 0):
        raise EngineError(f"{up} servers are up, found were {found}, with {len(report['findings'])} findings")
