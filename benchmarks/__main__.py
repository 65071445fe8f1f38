"""`python -m benchmarks [NAME...] [--json FILE]`: ratios in one run, each beside its goal.

Exit status: 0 where every goal holds, 1 where one does not, 2 where it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import SubprocessError

from httpx import HTTPError

from benchmarks import (
    bench,
    check,
    drift,
    memory,
    memory_accuracy,
    memory_dry_run,
    memory_process,
    probe,
    pull,
    pulumi_overhead,
    terraform,
)
from benchmarks.measuring import Report, Result, table
from benchmarks.toolchains import measure as toolchains
from ollama_provider.ollama.errors import OllamaError
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.toolchain import Engines, find_or_build

BENCHMARKS: dict[str, Callable[[Engines, Report], list[Result]]] = {
    "pulumi_overhead": pulumi_overhead.measure,
    "terraform": terraform.measure,
    "pull": pull.measure,
    "memory": memory.measure,
    "memory_accuracy": memory_accuracy.measure,
    "memory_dry_run": memory_dry_run.measure,
    "memory_process": memory_process.measure,
    "probe": probe.measure,
    "bench": bench.measure,
    "toolchains": toolchains.measure,
    "check": check.measure,
    "drift": drift.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all, where none is given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    given = parser.parse_args()
    # A shell's background job ignores SIGINT; and both must unwind what was started.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    results: dict[str, list[Result]] = {}
    try:
        engines = find_or_build(partial(progress, ""))
        for name in given.names or BENCHMARKS:
            results[name] = BENCHMARKS[name](engines, partial(progress, f"{name}: "))
    except (ToolchainError, EngineError, OllamaError, HTTPError, SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(table(results))
    if given.json:
        figures = {name: [result.as_json() for result in found] for name, found in results.items()}
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if all(result.holds for found in results.values() for result in found) else 1


def progress(beginning: str, line: str) -> None:
    print(f"{beginning}{line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
