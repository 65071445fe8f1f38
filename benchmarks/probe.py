"""Whether `ollama-policy probe` is right, on real runners of both engines: is a cache that grows called a leak, is it
named, and is a leak found that is planted in the runner, beside a cache that grows and one that is full.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.measuring import Report, Result, server_in_folder
from ollama_provider.ollama.sizes import MIB
from tests.engines.ollama_server import OllamaServer
from tests.engines.planted_leak import planted
from tests.engines.recipes import OLLAMA, OLLAMA_BEFORE_0_30
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines, find_or_build_ollama

RUNS = 20
CAPPED = {"LLAMA_ARG_CACHE_RAM": "32"}  # the different prompts of one run fill it
# 8 KiB of KV cache a token, for a prompt cache that grows. 0.17.4 has none, and is built without vector instructions.
SHAPE: dict[str, Any] = {"layers": 16, "width": 128, "heads": 8, "kv_heads": 8}


class Case(NamedTuple):
    """A server's situation; `leaks`: its runner leaks 1 MiB with each call."""

    what: str
    environment: Mapping[str, str]
    leaks: bool


CASES = (
    Case("cache growing", {}, leaks=False),
    Case("leak, cache growing", {}, leaks=True),
    Case("leak, cache capped", CAPPED, leaks=True),
)


def measure(engines: Engines, report: Report) -> list[Result]:
    results = []
    for recipe in (OLLAMA, OLLAMA_BEFORE_0_30):
        shape = SHAPE if recipe is OLLAMA else {}
        of_version = replace(engines, ollama=find_or_build_ollama(report, recipe).program)
        for case in CASES:
            report(f"Ollama {recipe.version}")
            found = counted(of_version, case, shape, report)
            of = f"Ollama {recipe.version}, {case.what}, of {RUNS} runs"
            if case.leaks:
                results.append(Result(f"{of}: leak missed", RUNS - found["leak"], "", goal=0))
            else:
                results.append(Result(f"{of}: called a leak", found["leak"], "", goal=0))
            if recipe is OLLAMA and not case.leaks:
                results.append(Result(f"{of}: prompt cache not named", RUNS - found["named"], "", goal=0))
    return results


def counted(engines: Engines, case: Case, shape: Mapping[str, Any], report: Report) -> Counter[str]:
    """How many of the runs were called a leak, and in how many the prompt cache is named as growing."""
    found: Counter[str] = Counter()
    with ExitStack() as cleanup:
        library = Path(cleanup.enter_context(TemporaryDirectory(prefix="ollama-iac-leak-")))
        environment = {**case.environment, **(planted(library, MIB) if case.leaks else {})}
        server, folder = cleanup.enter_context(server_in_folder(engines, environment))
        write_llama(folder / "tiny.gguf", context_length=4096, **shape)
        server.create_from_gguf("tiny", folder / "tiny.gguf", parameters={"num_thread": 1})
        for run in range(1, RUNS + 1):
            probed = probe(server, folder)
            found["leak"] += probed["kind"] == "leak"
            found["named"] += any(growth["cause"] == "prompt cache" for growth in probed["growth"])
            report(f"{case.what}, run {run} of {RUNS}: {found['leak']} called a leak, cache named in {found['named']}")
    return found


def probe(server: OllamaServer, folder: Path) -> dict[str, Any]:
    """What a probe of the model, which is loaded for it and unloaded, says."""
    file = folder / "probe.json"
    command = [sys.executable, "-m", "ollama_policy", "probe", "tiny", "--host", server.url, "--tokens", "2"]
    subprocess.run([*command, "--format", "json", "-o", str(file)], timeout=600, check=False)
    probed: dict[str, Any] = json.loads(file.read_text())
    return probed
