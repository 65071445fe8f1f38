"""The verification table's ready cases on a real Ollama, by `ollama-policy bench` itself: what each change gains."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

from benchmarks.measuring import Report, Result, server_in_folder
from ollama_provider.ollama.sizes import MIB
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines

CONTEXT = 8192


class Case(NamedTuple):
    """`environment` is of the second server; without one both sides are one server's."""

    name: str
    command: str
    environment: Mapping[str, str] = {}
    concurrency: int = 1


CASES = (
    Case("pinned, against cold at each call", "pinned"),
    Case("clients that agree on num_ctx, against two that do not", "aligned"),
    Case("4 parallel, against 1, with 4 clients", "servers", {"OLLAMA_NUM_PARALLEL": "4"}, concurrency=4),
    Case(
        "a KV cache of q8_0, against f16",
        "servers",
        {"OLLAMA_KV_CACHE_TYPE": "q8_0", "OLLAMA_FLASH_ATTENTION": "1"},
    ),
)


def measure(engines: Engines, report: Report) -> list[Result]:
    results = []
    for case in CASES:
        with ExitStack() as started:
            servers = [started.enter_context(server_in_folder(engines, {"OLLAMA_NUM_PARALLEL": "1"}))]
            if case.environment:
                servers.append(started.enter_context(server_in_folder(engines, case.environment)))
            for server, folder in servers:
                write_llama(folder / "model.gguf", layers=16, width=512, heads=8, context_length=CONTEXT)
                # One thread: on a busy machine several wait for each other longer than they compute.
                parameters = {"num_thread": 1, "num_ctx": CONTEXT}
                server.create_from_gguf("model", folder / "model.gguf", parameters=parameters)
            found = _benched(case, [server.url for server, _ in servers])
        results.append(_result(case, found))
        report(f"{case.name}: {found['gain']['gain']:+.0%}")
    return results


def _benched(case: Case, urls: list[str]) -> Mapping[str, Any]:
    command = ["bench", case.command, "model", "--host", urls[0], "--format", "json"]
    command += ["--concurrency", str(case.concurrency), *(["--other-host", urls[1]] if len(urls) > 1 else [])]
    made = subprocess.run(
        [sys.executable, "-m", "ollama_policy", *command], stdout=subprocess.PIPE, timeout=900, check=True
    )
    return json.loads(made.stdout)  # type: ignore[no-any-return]


def _result(case: Case, found: Mapping[str, Any]) -> Result:
    gain, old, new = found["gain"], found["old"], found["new"]
    shown = "" if gain["is_shown"] else "no difference shown; "
    latency = ", ".join(f"{which} {old[which] * 1000:.0f} to {new[which] * 1000:.0f} ms" for which in ("p50", "p99"))
    memory = f"memory {old['memory'] / MIB:.0f} to {new['memory'] / MIB:.0f} MiB"
    interval = 100 * gain["low"], 100 * gain["high"]
    return Result(f"{case.name}: QPS", 100 * gain["gain"], "%", *interval, detail=f"{shown}{latency}; {memory}")
