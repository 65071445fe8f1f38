"""`python -m tests.policies.fuzz --seconds N --seed S [--source NAME]`: looks for inputs that break the checker.

With `--inputs 1000000 --processes 2` all sources get their share of a million inputs, one source a process at a time.
Prints what each source went through, and each crash with its input. Exit status: 0 where nothing broke, else 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import chdir
from random import Random
from typing import NamedTuple

from tests.policies.fuzz.fuzzer import Fuzzer
from tests.policies.fuzz.seeds import name_of, sources


class Done(NamedTuple):
    """What one source went through."""

    name: str
    inputs: int
    pipelines: int
    crashes: list[str]


def _fuzzed(name: str, seed: int, seconds: float, inputs: int | None) -> Done:
    [source] = [one for one in sources() if name_of(one) == name]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # nothing of this repository is a neighbour
        fuzzer = Fuzzer(source, Random(f"{seed} {name}"))
        fuzzer.run(seconds, inputs)
    return Done(name, fuzzer.executions, fuzzer.pipelines, list(map(str, fuzzer.crashes.values())))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.policies.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all sources together, in one process")
    parser.add_argument("--inputs", type=int, help="for all sources together, instead of --seconds")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", help="only this one, such as compose")
    given = parser.parse_args()
    chosen = sources(given.source)
    if not chosen:
        parser.error(f"there is no source {given.source}; there are {', '.join(map(name_of, sources()))}")
    total, broken, began = 0, 0, time.monotonic()
    seconds = given.seconds / len(chosen) if given.inputs is None else float("inf")
    inputs = None if given.inputs is None else -(-given.inputs // len(chosen))
    with ProcessPoolExecutor(given.processes) as pool:
        for future in as_completed(
            [pool.submit(_fuzzed, name_of(one), given.seed, seconds, inputs) for one in reversed(chosen)]
        ):
            done = future.result()
            total += done.inputs
            broken += len(done.crashes)
            whole = f"{done.pipelines:,} of them through everything"
            print(f"{done.name}: {done.inputs:,} inputs, {whole}, {len(done.crashes)} crashes", flush=True)
            for crash in done.crashes:
                print(crash, flush=True)
    print(f"{total:,} inputs, {total / (time.monotonic() - began):,.0f} a second, {broken} crashes")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
