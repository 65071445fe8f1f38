"""What `OllamaModel` adds to Pulumi's own time, against a dynamic resource that does nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.measuring import Report, Result, interleaved, ratio, server_in_folder
from tests.engines.errors import EngineError
from tests.engines.processes import stop_group
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines

GOAL = 1.2
PAIRS = 9
ROOT = Path(__file__).parents[1]
COMMANDS = {
    "up": ("up", "--yes", "--skip-preview"),
    "preview --refresh": ("preview", "--refresh"),
}
PROGRAM = """
import pulumi

from {module} import {resource}

model = {resource}("model", name="tiny")
pulumi.export("digest", model.digest)
"""
PROGRAMS = {
    "model": PROGRAM.format(module="ollama_provider", resource="OllamaModel"),
    "no-op": PROGRAM.format(module="benchmarks.no_op", resource="NoOpModel"),
}


def measure(engines: Engines, report: Report) -> list[Result]:
    with ExitStack() as stacks:
        server, folder = stacks.enter_context(server_in_folder(engines))
        write_llama(folder / "tiny.gguf")
        server.create_from_gguf("tiny", folder / "tiny.gguf")
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {"OLLAMA_HOST": server.url, "PYTHONPATH": paths}
        made = {
            name: stacks.enter_context(PulumiStack(engines, folder / name, program, environment))
            for name, program in PROGRAMS.items()
        }
        for stack in made.values():
            stack.up()
        runs = {
            f"{command} {name}": partial(seconds_of, stack, arguments)
            for command, arguments in COMMANDS.items()
            for name, stack in made.items()
        }
        seconds = interleaved(runs, PAIRS, report)
    return [
        ratio(f"{command}, nothing to change", seconds[f"{command} model"], seconds[f"{command} no-op"], GOAL)
        for command in COMMANDS
    ]


def seconds_of(stack: PulumiStack, arguments: Sequence[str]) -> float:
    """One command that must find nothing to change."""
    began = time.perf_counter()
    running = stack.start(*arguments)
    try:
        running.wait()  # without a time limit, with which Python looks only every 50 ms
        seconds = time.perf_counter() - began
    finally:
        if running.poll() is None:
            stop_group(running)
    outcome = running.outcome()
    if outcome.changes != {"same": 2}:
        raise EngineError(f"pulumi {' '.join(arguments)} changed something: {outcome.changes}\n{outcome.text}")
    return seconds
