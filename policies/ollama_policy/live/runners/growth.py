"""How much runners have grown by since their load, as their processes show on the server's own machine.

What a process has for itself are its anonymous and swapped pages. What its load took is `size` of /api/ps, the buffers
that llama-server logged, less the pages of them that no prompt has touched yet: the kernel counts none of those. The
rest has come since: states of past prompts, which only an unload gives back, and some MiB that the process itself
needs; what the vocabulary and the graphs take of those is estimated, where the architecture is known.

Of the logged buffers only those for computing and for the output are not written at the load. The scheduler's own
room is as untouched, lies beside them, and was not logged. So its bytes are not part of what is missing.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ollama_policy.live.runners.processes import OWN_PAGES, Processes, UnseenError
from ollama_policy.live.runners.runner import CACHE_VARIABLE, Engine, Runner
from ollama_provider.ollama.answers import ModelDetails, RunningModel
from ollama_provider.ollama.memory import estimate
from ollama_provider.ollama.memory.graphs.graph_room import nodes_of, unwritten, written
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.settings.batches import automatic_batch
from ollama_provider.ollama.settings.variables import PROMPT_CACHE_MIB

_PROC: Final = Path("/proc")
_BLOB: Final = re.compile(r"sha256[-:]([0-9a-f]{64})")
_MAPPING: Final = re.compile(r"^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)$")
_KIBIBYTES: Final = re.compile(r"^(Size|Rss|Swap): +([0-9]+) kB$")
_STACK_LIMIT: Final = re.compile(r"^Max stack size +([0-9]+)", re.MULTILINE)
_GGUF: Final = struct.Struct("<4sIQ")
_END: Final = "0-0 ---p 0 0 0"
# Larger allocations have a mapping of their own (DEFAULT_MMAP_THRESHOLD_MAX of glibc).
_OWN_MAPPING: Final = 32 * 2**20


class Grown(NamedTuple):
    """One runner. `held` are its own bytes, `beyond` those of them that its load does not account for.

    `cache_mib` is the bound of its prompt cache that its environment or llama.cpp's default says, None where the
    process does not show that.
    """

    pid: int
    held: int
    beyond: int
    cache_mib: int | None


def grown(
    url: str, models: Iterable[RunningModel], details: Mapping[ModelName, ModelDetails]
) -> dict[ModelName, Grown]:
    """Of the models whose runners this machine shows, and whose buffers lie in its memory alone."""
    try:
        processes = Processes(url)
    except UnseenError:
        return {}
    if processes.counts != OWN_PAGES:
        return {}
    found = {}
    for model in models:
        blob = _BLOB.search(details[model.name].blob) if model.name in details else None
        if blob is None or model.size_vram:
            continue
        memory = processes.memory_of(model.name, f"sha256:{blob[1]}")
        if memory.runner is not None and memory.runner.engine is Engine.LLAMA_SERVER:
            found[model.name] = _grown(model, memory.runner, memory.runners, _known(details[model.name], memory.runner))
    return found


class _Known(NamedTuple):
    """Bytes of a runner's load, by the model's metadata: 0 where they are not known.

    `beside` the process holds, and /api/ps does not list. Of what it lists up to `late` comes with the first prompts.
    `unlogged` is asked for, neither listed nor written to.
    """

    beside: int = 0
    late: int = 0
    unlogged: int = 0


def _known(details: ModelDetails, runner: Runner) -> _Known:
    tensors = _tensors_in(runner.model)
    context = runner.context or 1
    try:
        load = estimate(
            details.metadata, weights_bytes=0, num_ctx=max(1, context // runner.slots), parallel=runner.slots
        )
    except ValueError:
        return _Known()
    if tensors is None:
        return _Known(beside=load.vocabulary)
    nodes = nodes_of(str(details.metadata.get("general.architecture")), tensors, min(context, automatic_batch(context)))
    return _Known(load.vocabulary + written(nodes), load.compute + load.output, unwritten(nodes))


def _tensors_in(gguf: str) -> int | None:
    """How many a file has, as its first bytes say; None where it cannot be read."""
    try:
        with open(gguf, "rb") as file:  # noqa: PTH123
            magic, _, count = _GGUF.unpack(file.read(_GGUF.size))
    except (OSError, struct.error):
        return None
    return int(count) if magic == b"GGUF" else None


def _grown(model: RunningModel, runner: Runner, held: int, known: _Known) -> Grown:
    cache, _ = runner.setting(CACHE_VARIABLE, PROMPT_CACHE_MIB)
    to_come = min(known.late, max(0, untouched(runner.pid) - known.unlogged))
    at_load = model.size - min(to_come, model.size) + known.beside
    return Grown(runner.pid, held, max(0, held - at_load), None if runner.environment is None else cache)


def untouched(pid: int) -> int:
    """Bytes of large buffers that a process has asked for and never written to; 0 where that cannot be seen."""
    try:
        lines = (_PROC / str(pid) / "smaps").read_text().splitlines()
        limits = (_PROC / str(pid) / "limits").read_text()
    except OSError:
        return 0
    stack = _STACK_LIMIT.search(limits)
    of_a_thread = int(stack[1]) if stack else 0
    total = size = held = 0
    is_buffer = False
    for line in [*lines, _END]:
        if mapping := _MAPPING.match(line):
            if is_buffer and size >= _OWN_MAPPING and size != of_a_thread:
                total += size - held
            is_buffer, size, held = mapping[1].startswith("rw") and not mapping[2], 0, 0
        elif figure := _KIBIBYTES.match(line):
            count = int(figure[2]) * 1024
            size, held = (count, held) if figure[1] == "Size" else (size, held + count)
    return total
