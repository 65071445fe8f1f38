"""Whether `ollama-policy probe` is right: how often it calls a steady real model a leak, and misses a planted one."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measuring import Report, Result, server_in_folder
from tests.engines.fake_leaking_ollama import leaking
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines

RUNS = 20
MIB = 2**20
_LEAK = 1


def measure(engines: Engines, report: Report) -> list[Result]:
    false_alarms = missed = 0
    with server_in_folder(engines) as (server, folder):
        write_llama(folder / "tiny.gguf", layers=8, width=512, heads=8)
        server.create_from_gguf("tiny", folder / "tiny.gguf", parameters={"num_thread": 1})
        for run in range(1, RUNS + 1):
            false_alarms += _probe(server.url) == _LEAK
            report(f"steady real model, run {run} of {RUNS}: {false_alarms} called a leak")
    for run in range(1, RUNS + 1):
        with leaking(MIB) as url:
            missed += _probe(url) != _LEAK
        report(f"planted leak, run {run} of {RUNS}: {missed} missed")
    return [
        Result(f"steady real model called a leak, of {RUNS} runs", false_alarms, "", goal=0),
        Result(f"leak of 1 MiB a call missed within 60 calls, of {RUNS} runs", missed, "", goal=0),
    ]


def _probe(url: str) -> int:
    command = [sys.executable, "-m", "ollama_policy", "probe", "tiny", "--host", url, "--tokens", "4"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=300).returncode
