"""`python -m tests.engines [NAME...]`: build the real engines that are neither on PATH nor in the cache."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.engines.building import Job, build_all
from tests.engines.chromium import chromium_job, find_chromium
from tests.engines.errors import ToolchainError
from tests.engines.progress import ProgressLine
from tests.engines.recipes import BRIDGE, OLLAMAS, OPENTOFU, PULUMI, PULUMI_YAML, Engine
from tests.engines.toolchain import cache, cached_job, find_opentofu, find_pulumi, proven_on_path

BUILT_BY_NAME_ONLY = {f"ollama-{version}" for version in ("0.32.15",)}

EPILOG = f"""\
Without names: all that `make test` needs. {", ".join(BUILT_BY_NAME_ONLY)} is built by its name only.
A name without its version is the first of that name in the list below.

  NAME                           SECONDS OF ONE CORE
{{names}}

What PATH has in a fit version is not built: Ollama in the very version, Pulumi {PULUMI.version} or another from 3.200
on, tofu, chromium. Builds run side by side, with at most as many compilers as there are cores, and are kept in
{{cache}}, each with its log beside it.
A build that was cut off goes on with the next run. On stdout: the path of each engine that this run has built.
"""


class Target:
    """What can be built: `found` is where PATH has it in a fit version."""

    def __init__(self, job: Job, program: Path, found: Callable[[], object]) -> None:
        self.job, self.program, self.found = job, program, found

    @property
    def name(self) -> str:
        return self.job.folder.name


def targets() -> dict[str, Target]:
    def of(engine: Engine, found: Callable[[], object]) -> Target:
        job = cached_job(engine)
        return Target(job, job.folder / engine.program, found)

    chromium = chromium_job()
    listed = [
        *(of(engine, lambda engine=engine: proven_on_path(engine)) for engine in OLLAMAS.values()),  # type: ignore[misc]
        of(PULUMI, find_pulumi),
        of(BRIDGE, lambda: None),
        of(PULUMI_YAML, lambda: None),
        of(OPENTOFU, find_opentofu),
        Target(chromium, chromium.folder / "chromium", find_chromium),
    ]
    return {target.name: target for target in listed}


def chosen(names: list[str], among: dict[str, Target]) -> list[Target]:
    """Raises ToolchainError where a name is none of them."""
    if not names:
        return [target for name, target in among.items() if name not in BUILT_BY_NAME_ONLY]
    found = []
    for name in names:
        fitting = among.get(name) or next((among[full] for full in among if full.rpartition("-")[0] == name), None)
        if fitting is None:
            raise ToolchainError(f"{name!r} is not an engine, known are: {', '.join(among)}")
        found.append(fitting)
    return found


def main(arguments: list[str]) -> int:
    try:
        among = targets()
        names = "\n".join(f"  {name:<30} {target.job.cpu_seconds:>5.0f}" for name, target in among.items())
        parser = argparse.ArgumentParser(
            "python -m tests.engines",
            description="Build the real engines that are neither on PATH nor in the cache.",
            epilog=EPILOG.format(names=names, cache=cache()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("names", nargs="*", metavar="NAME", help="an engine, such as ollama-0.34.3 or pulumi")
        wanted = [target for target in chosen(parser.parse_args(arguments).names, among) if not target.found()]
        new = build_all([target.job for target in wanted], ProgressLine.on(sys.stderr))
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
        return 1
    for target in wanted:
        if target.job in new:
            print(target.program)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
