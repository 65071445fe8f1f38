"""`python -m tests.policies.fuzz --seconds N --seed S [--source NAME]`: looks for inputs that break the checker.

Prints what each source went through, and each crash with its input. Exit status: 0 where nothing broke, else 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import chdir
from random import Random

from tests.policies.fuzz.fuzzer import Fuzzer
from tests.policies.fuzz.seeds import name_of, sources


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.policies.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all sources together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", help="only this one, such as compose")
    given = parser.parse_args()
    chosen = sources(given.source)
    if not chosen:
        parser.error(f"there is no source {given.source}; there are {', '.join(map(name_of, sources()))}")
    total, broken, began = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # nothing of this repository is a neighbour
        for source in chosen:
            fuzzer = Fuzzer(source, Random(f"{given.seed} {name_of(source)}"))
            fuzzer.run(given.seconds / len(chosen))
            total += fuzzer.executions
            broken += len(fuzzer.crashes)
            whole = f"{fuzzer.pipelines:,} of them through everything"
            print(
                f"{name_of(source)}: {fuzzer.executions:,} inputs, {whole}, {len(fuzzer.crashes)} crashes", flush=True
            )
            for crash in fuzzer.crashes.values():
                print(crash, flush=True)
    print(f"{total:,} inputs, {total / (time.monotonic() - began):,.0f} a second, {broken} crashes")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
