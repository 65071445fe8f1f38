"""`python -m tests.provider.fuzz [--inputs N | --seconds N] [--seed S] [answers | messages]`: inputs that break it.

`answers` are those of a server, `messages` those of Terraform. Prints what went through, and each place that broke.
Exit status: 0 where nothing broke, else 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random

from tests.provider.fuzz.answers import Answers
from tests.provider.fuzz.fuzzing import lines, run
from tests.provider.fuzz.messages import Messages

TARGETS = {"answers": Answers, "messages": Messages}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.provider.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=list(TARGETS), help="only this one")
    parser.add_argument("--seconds", type=float, default=60, help="for each")
    parser.add_argument("--inputs", type=int, help="for each, instead of --seconds")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    broken = 0
    for name in [given.target] if given.target else TARGETS:
        target = TARGETS[name](Random(f"{given.seed} {name}"))
        began = time.monotonic()
        seconds = float("inf") if given.inputs else given.seconds
        count, crashes = run(target, seconds=seconds, inputs=given.inputs)
        broken += len(crashes)
        for line in lines(name, count, crashes, time.monotonic() - began):
            print(line, flush=True)
        target.close()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
