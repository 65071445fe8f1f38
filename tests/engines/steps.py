"""A build as steps: a generator yields each command and is sent what the command said. `building.py` runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

CORES = "{cores}"  # in a command: how many compilers it may run at once


@dataclass(frozen=True)
class Step:
    """One command. A step with `cpu_seconds` compiles, and is given cores; the others wait for the network.

    `progress` finds in what was said so far how many parts of how many are done; `doing` names what it does,
    and `hint` says what to do where it fails.
    """

    command: list[str]
    doing: str
    cwd: Path
    environment: Mapping[str, str]
    cpu_seconds: float = 0
    progress: Callable[[str], tuple[int, int]] | None = field(default=None, compare=False)
    hint: str = ""

    def with_cores(self, cores: int) -> list[str]:
        return [str(cores) if part == CORES else part for part in self.command]


T = TypeVar("T")
Steps = Generator[Step, str, T]


def packages_of(total: int) -> Callable[[str], tuple[int, int]]:
    return lambda said: (min(count_packages(said), total), total)


def count_packages(said: str) -> int:
    """Go prints a package a line; what else it and the compilers say has spaces."""
    return sum(1 for line in said.splitlines() if line and " " not in line)


def ninjas(said: str) -> tuple[int, int]:
    """Of the last `[12/216] Building ...`."""
    found = re.findall(r"^\[(\d+)/(\d+)\]", said, re.MULTILINE)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)
