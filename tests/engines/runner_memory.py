"""What a model really takes: the runner's process as the system sees it, and what Ollama says of it."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.engines.errors import EngineError
from tests.engines.ollama_server import OllamaServer

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
# Ollama's own engine; llama.cpp, which logs one line for each kind of cache.
_KV = re.compile(r'msg="kv cache" device=\S+ size="([\d.]+) (\w+)"|KV buffer size = +([\d.]+) (MiB)')
_GRAPH = re.compile(r'msg="compute graph" device=\S+ size="([\d.]+) (\w+)"|compute buffer size = +([\d.]+) (MiB)')
_WITHIN = 600.0
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Measured:
    """Bytes. `unique_at_load` is without pages that other processes have; `peak` is None where nothing was filled.

    `proportional` counts a page that several processes have by their number, and swapped ones: after the contexts were
    filled, or None.
    """

    at_load: int
    unique_at_load: int
    peak: int | None
    said_by_ollama: int  # `size` in /api/ps
    kv_cache_in_log: int
    graph_in_log: int
    tokens: int
    proportional_at_load: int = 0
    proportional: int | None = None


def measure(server: OllamaServer, name: str, *, num_ctx: int, parallel: int, embeds: bool, fills: int) -> Measured:
    """Load `name`, fill its contexts so many times, each with other prompts, and unload it. Raises EngineError."""
    start = server.log.stat().st_size
    call(server, name, "", num_ctx, embeds=embeds)
    runner = next(process for process in server.runners() if "--model" in process.cmdline())
    time.sleep(0.3)
    at_load = runner.memory_full_info()
    size = server.ps()[0]["size"]
    log = server.log.read_bytes()[start:].decode(errors="replace")
    proportional_at_load = proportional_bytes(runner)
    tokens = sum(fill_contexts(server, name, num_ctx, parallel, turn, embeds=embeds) for turn in range(fills))
    measured = Measured(
        at_load=at_load.rss,
        unique_at_load=at_load.uss,
        peak=peak_resident(runner) if fills else None,
        said_by_ollama=size,
        kv_cache_in_log=_logged(_KV, log, is_llama="KV buffer" in log),
        graph_in_log=_logged(_GRAPH, log, is_llama="KV buffer" in log),
        tokens=tokens,
        proportional_at_load=proportional_at_load,
        proportional=proportional_bytes(runner) if fills else None,
    )
    unload(server, name)
    return measured


def fill_contexts(server: OllamaServer, name: str, num_ctx: int, parallel: int, turn: int, *, embeds: bool) -> int:
    """Prompts as long as the context, one for each request that the server takes at once; how many tokens they had.

    Of each turn others, since what is in the cache is not read again.
    """
    if embeds:
        return int(call(server, name, "a " * num_ctx, num_ctx, embeds=True).get("prompt_eval_count", 0))
    words = 32
    tokens_a_word = call(server, name, "a " * words, num_ctx)["prompt_eval_count"] / words
    length = int((num_ctx - 16) / tokens_a_word)
    letters = (_LETTERS[(turn * parallel + number) % len(_LETTERS)] for number in range(parallel))
    prompts = [f"{letter} " * length for letter in letters]
    clients = ThreadPoolExecutor(parallel)
    try:
        answers = list(clients.map(lambda prompt: call(server, name, prompt, num_ctx), prompts))
    finally:
        clients.shutdown(wait=False)  # on Ctrl-C they end with their server
    return sum(answer["prompt_eval_count"] for answer in answers)


def call(server: OllamaServer, name: str, prompt: str, num_ctx: int, *, embeds: bool = False) -> dict[str, Any]:
    # With all threads, each waits for the slowest, which on a busy machine is long.
    body: dict[str, Any] = {"model": name, "options": {"num_ctx": num_ctx, "num_predict": 1, "num_thread": 1}}
    if embeds:
        path, body["input"] = "/api/embed", prompt
    else:
        path = "/api/generate"
        body |= {"prompt": prompt, "raw": True, "stream": False}
    answer = server.call("POST", path, body, timeout=_WITHIN)
    if not answer.is_success:
        raise EngineError(f"{name}: {path} {answer.status_code} {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    return found


def unload(server: OllamaServer, name: str) -> None:
    server.call("POST", "/api/generate", {"model": name, "keep_alive": 0})
    give_up = time.monotonic() + 30
    while server.runners() and time.monotonic() < give_up:
        time.sleep(0.05)


def proportional_bytes(process: psutil.Process) -> int:
    """What is its share of memory, with the pages that are swapped out (Linux)."""
    memory = process.memory_full_info()
    return int(memory.pss + memory.swap)


def peak_resident(process: psutil.Process) -> int:
    """The kernel's own mark of the most that was resident at once, in bytes (Linux)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def _logged(pattern: re.Pattern[str], log: str, *, is_llama: bool) -> int:
    """llama.cpp's lines add up; of Ollama's engine the last line counts, as each says all anew."""
    sizes = [
        int(float(own or llama) * _UNITS[own_unit or llama_unit])
        for own, own_unit, llama, llama_unit in pattern.findall(log)
        if bool(llama) == is_llama
    ]
    return sum(sizes) if is_llama else sizes[-1] if sizes else 0
