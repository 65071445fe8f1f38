"""What a log can show of a server's memory: rules whose findings no file of settings gives, each at its line.

Their examples are logs. Lines are as Ollama 0.34.3 writes them, paths and times made shorter.
"""

from typing import ClassVar, Final

from ollama_policy.model.rule import Example, Rule, Severity
from ollama_policy.model.settings import Kind

_A: Final = "/models/blobs/sha256-" + "a" * 64


def _log(*lines: str) -> tuple[Example, ...]:
    return (Example("ollama.log", "".join(f"{line}\n" for line in lines)),)


def _line(level: str, message: str, rest: str = "", second: int = 0) -> str:
    return f'time=2026-01-01T12:00:{second:02}.000Z level={level} source=server.go:1 msg="{message}" {rest}'.rstrip()


def _loaded(blob: str, second: int = 0, context: int = 4096) -> tuple[str, ...]:
    return (
        _line("INFO", "using llama-server for model", f"model={blob}", second),
        _line("INFO", "starting llama-server", f'cmd="llama-server --model {blob} -c {context} -np 1"', second),
        _line("INFO", "system memory", 'total="23.5 GiB" free="21.7 GiB" free_swap="0 B"', second),
        _line("INFO", "llama-server started in 0.28 seconds", "", second),
        _line("INFO", "loaded runners", "count=1", second),
    )


_CACHE: Final = (
    "srv        update:  - cache state: {} prompts, {:.3f} MiB (limits: 8192.000 MiB, 131072 tokens, 240123 est)"
)
_RAN_OUT: Final = "runtime OOM detected; expiring loaded models to clear memory before next request"
_ONE_AT_ONCE: Final = "model architecture does not currently support parallel requests"
_CUDA: Final = 'error="CUDA error: out of memory"'
_RUNNER: Final = f'runner.name=registry.ollama.ai/library/chat:latest runner.size="5.4 GiB" runner.model={_A}'
_CALL: Final = '[GIN] 2026/01/01 - 12:00:29 | {} | {:>12} |       10.0.0.7 | POST     "/api/chat"'
_TERMINATED: Final = "llama-server process has terminated: exit status 1"
_NO_MEMORY: Final = (
    f'error="{_TERMINATED}: ggml_aligned_malloc: insufficient memory (attempted to allocate 8192.00 MB)"'
)
_ENDED: Final = f'error="{_TERMINATED}"'
_SIGNAL: Final = 'sys=9 string="signal: killed"'
_AGAIN: Final = _loaded(_A, 9, context=8192)
_FOR_EVER: Final = 'env="map[OLLAMA_KEEP_ALIVE:2562047h47m16.854775807s]"'
_NOT_RECOVERED: Final = "gpu VRAM usage didn't recover within timeout"
_FREE: Final = 'free_before="2.0 GiB" free_now="2.1 GiB"'
_FINE: Final = _log(_CALL.format(200, "1.5s"))


class LogRule(Rule):
    """What all have in common. `judge` is not overridden: ollama_policy.commands.logs.findings makes them of events."""

    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset()
    source = "the log of Ollama 0.17.4 and 0.34.3: server/sched.go, llm/server.go, llm/llama_server.go"


class IgnoredSetting(LogRule):
    id = "OLL601"
    name = "ignored-setting"
    severity = Severity.ERROR
    summary = "a server's variable that Ollama logged as invalid"
    why = (
        "Ollama logs a warning for a number that is not valid, and uses its default. Before 0.30 it did the same for a "
        "KV cache type that it could not use: f16 in place of q8_0 is twice the cache. From 0.30 on the load fails "
        "instead: OLL604. Ollama also ignores an invalid duration, such as in OLLAMA_KEEP_ALIVE, but logs nothing: "
        "`ollama-policy check` finds it."
    )
    fix = "Write the variable as Ollama reads it, or delete it."
    bad = _log(
        f"«{_line('WARN', 'invalid environment variable, using default', 'key=OLLAMA_MAX_QUEUE value=x default=512')}»"
    )
    good = _log(*_loaded(_A))
    source = "envconfig/config.go, Uint and Uint64; llm/server.go, NewLlamaServer"


class Evicted(LogRule):
    id = "OLL602"
    name = "evicted-for-another"
    summary = "a model that was evicted to make room for another"
    why = (
        "The next call of the evicted model loads it again, and evicts the other model if both are in use: each call "
        "waits for a load. If memory is short, Ollama logs that at its usual level, but names the model only with "
        "OLLAMA_DEBUG=1. It also names a model that OLLAMA_MAX_LOADED_MODELS has no room for only with OLLAMA_DEBUG=1."
    )
    fix = "Give the models less context or fewer parallel slots, a shorter keep_alive, or the server more memory."
    bad = _log(
        _line("DEBUG", "max runners achieved, unloading one to make room", "runner_count=1"),
        f"«{_line('DEBUG', 'resetting model to expire immediately to make room', _RUNNER)}»",
    )
    good = _log(_line("DEBUG", "timer expired, expiring to unload", _RUNNER))


class OutOfMemory(LogRule):
    id = "OLL603"
    name = "load-out-of-memory"
    severity = Severity.ERROR
    summary = "a load that failed, or that Ollama had to try again, for lack of memory"
    why = (
        "Weights, KV cache and compute graph together exceed the free memory. The KV cache grows with context times "
        "parallel slots, and is the part that settings change. A load that fits at the second try is a warning. From "
        "0.30 on Ollama tries again with less context, if it chose the context itself, or unloads the other models; "
        "before 0.30, with fewer layers on the GPU."
    )
    fix = (
        "Lower num_ctx or OLLAMA_NUM_PARALLEL, quantise the KV cache, use a smaller model, or unload another model "
        "first."
    )
    bad = _log(f"«{_line('INFO', 'Load failed', f'model={_A} {_NO_MEMORY}')}»")
    good = _log(*_loaded(_A))


class FailedLoad(LogRule):
    id = "OLL604"
    name = "load-failed"
    severity = Severity.ERROR
    summary = "a load that failed for a reason other than memory"
    why = (
        "The weights cannot be read, this version does not know them, or the runner did not start. From 0.30 on every "
        "load also fails if llama-server refuses a LLAMA_ARG_* variable or the KV cache type. Calls get HTTP 500."
    )
    fix = (
        "If the finding names a variable, correct or delete it. If the client gave up, let it wait longer. Otherwise, "
        "pull the model again, and update Ollama if the model's architecture is new."
    )
    bad = _log(f"«{_line('INFO', 'Load failed', f'model={_A} {_ENDED}')}»")
    good = _log(*_loaded(_A))


class RunnerDied(LogRule):
    id = "OLL605"
    name = "runner-died"
    severity = Severity.ERROR
    summary = "a runner that crashed or was killed"
    why = (
        "`signal: killed` most often means that the kernel was out of memory, or that a container reached its memory "
        "limit. The kernel's own log says so: use `journalctl -k` or `dmesg`. The operating system frees all memory of "
        "a runner that ended, but Ollama notices the end only at the model's next call, and a pin is lost."
    )
    fix = "Look for `Out of memory: Killed process` in the kernel's log; give the model less context, or more memory."
    bad = _log(*_loaded(_A), f"«{_line('WARN', 'llama-server process no longer running', _SIGNAL, 9)}»")
    good = _log(*_loaded(_A))


class ReloadedWithOptions(LogRule):
    id = "OLL606"
    name = "reloaded-with-other-options"
    summary = "a model that was loaded again because a client asked for different options"
    why = (
        "A call that differs from the runner in an option that OLL403 lists ends the runner and starts a new one. Each "
        "such call waits for a load, a larger context needs more memory, and the old runner's pin is lost. Without "
        "OLLAMA_DEBUG=1 the finding is based on two loads with different contexts."
    )
    fix = "Write the options into the model, and remove them from clients."
    bad = _log(*_loaded(_A, context=2048), _AGAIN[0], f"«{_AGAIN[1]}»", *_AGAIN[2:])
    good = _log(*_loaded(_A), *_loaded(_A, 9))


class PromptTruncated(LogRule):
    id = "OLL607"
    name = "prompt-truncated"
    summary = "a prompt that was longer than the context, so Ollama cut it"
    why = (
        "The model answers without the part that Ollama cut, and the client gets no message. Memory is reserved for "
        "the context: a larger one needs KV cache for every parallel slot."
    )
    fix = "Give the model a num_ctx that its prompts fit into, if memory allows, or shorten the prompts."
    bad = _log(f"«{_line('WARN', 'truncating input prompt', 'limit=512 prompt=16004 keep=5 new=512')}»")
    good = _FINE


class SlowCall(LogRule):
    id = "OLL608"
    name = "slow-call"
    severity = Severity.INFO
    summary = "a call that took long, and how much of it was a load"
    why = (
        "GIN writes a line for each request that ended; the line does not name the model. If a load ended during the "
        "call, the finding reports it: keeping the model in memory saves that part."
    )
    fix = (
        "If a load took the time, keep the model in memory. Otherwise, make fewer calls at once, or use a smaller "
        "context."
    )
    bad = _log(f"«{_CALL.format(200, '2m5s')}»")
    good = _FINE
    source = "GIN's log; measured on 0.17.4"


class FailedCalls(LogRule):
    id = "OLL609"
    name = "failed-calls"
    summary = "calls of a model that the server answered with an error"
    why = (
        "A call gets HTTP 500 if a load failed, or if a runner ended while it answered. In the second case Ollama logs "
        "nothing else until the model's next call. 503 means that the queue is full."
    )
    fix = "Look at the log lines just before; with OLLAMA_DEBUG=1 Ollama logs more."
    bad = _log(f"«{_CALL.format(500, '502.7ms')}»")
    good = _FINE
    source = "GIN's log; measured on 0.17.4 and 0.34.3: a runner that is killed during an answer"


class NeverReleased(LogRule):
    id = "OLL610"
    name = "never-released"
    summary = "a server, or a client, that keeps a model in memory forever"
    why = (
        "A model that is kept forever holds its memory, which is what users report as not released. That is right for "
        "a model that is declared resident. A client's pin is an info, and the log names the model only with "
        "OLLAMA_DEBUG=1."
    )
    fix = "Set OLLAMA_KEEP_ALIVE to a duration, and pin the models that must stay by declaration."
    bad = _log(f"«{_line('INFO', 'server config', _FOR_EVER)}»")
    good = _log(_line("INFO", "server config", 'env="map[OLLAMA_KEEP_ALIVE:5m0s]"'))


class MemoryKept(LogRule):
    id = "OLL611"
    name = "memory-not-returned"
    summary = "memory that did not come back when Ollama unloaded a model"
    why = (
        "After Ollama ends a runner, it waits for the GPU's free memory to rise. If it does not rise, another process "
        "uses the memory, or the driver still holds it: the next load finds too little."
    )
    fix = "Look at the GPU's processes with nvidia-smi; you can end a runner that is left there."
    bad = _log(f"«{_line('DEBUG', _NOT_RECOVERED, f'seconds=5.01 {_FREE} {_RUNNER}')}»")
    good = _log(_line("DEBUG", "no need to wait for VRAM recovery", _RUNNER))


class MemoryAlarm(LogRule):
    id = "OLL612"
    name = "memory-alarm"
    severity = Severity.ERROR
    summary = "the line `Memory usage exceeds threshold`, which is not Ollama's own"
    why = (
        "Ollama has no threshold and never writes this line: a wrapper or a monitor beside it does, as `ollama-policy "
        "logs --threshold` can. The finding lists the models that were in memory at that moment, as far as the log "
        "shows. A model in memory is not a leak: memory that is still held after its unload would be."
    )
    fix = "Limit what stays in memory with keep_alive, and use `ollama-policy probe` to tell a cache from a leak."
    bad = _log(*_loaded(_A), "«ERROR: Memory usage exceeds threshold. Current memory usage: 85%»")
    good = _log(*_loaded(_A))
    source = "the alarm that many monitors write; psutil.virtual_memory().percent"


class LeakingRelease(LogRule):
    id = "OLL613"
    name = "leaking-release"
    summary = "a release of Ollama that is known to leak, by the version that the server logs"
    why = (
        "The same as OLL301, for a log: some releases leak memory because of their own defects, and no setting helps. "
        "The rule reports only leaks that a later release is known to fix."
    )
    fix = "Update the server; `ollama-policy explain OLL301` lists the releases that leak."
    bad = _log(f"«{_line('INFO', 'Listening on [::]:11434 (version 0.6.5)')}»")
    good = _log(_line("INFO", "Listening on [::]:11434 (version 0.34.3)"))
    source = "issues 10040, 10434, 10688 and 10433"


class PromptCacheGrows(LogRule):
    id = "OLL614"
    name = "prompt-cache-grows"
    summary = "a runner's cache of earlier prompts that has grown, by the lines that llama-server logs"
    why = (
        "From 0.30 on each runner keeps the state of earlier prompts beside its context: up to 8 GiB unless you set a "
        "bound, while /api/ps shows no change. It looks like memory that grows with every call and is not released; "
        "only an unload gives it back. Three models in memory may need three times as much. If a lower bound is set, "
        "or if the bound is the context's tokens, the finding is an info. MLX's runner has its own cache of at most 8 "
        "GiB, which no variable bounds: that is also an info."
    )
    fix = (
        "Set LLAMA_ARG_CACHE_RAM in the server's environment, to a number of MiB for each runner; 0 turns the cache "
        "off. Reload the model to free what its cache holds now."
    )
    bad = _log(*_loaded(_A, context=131072), f"«{_CACHE.format(27, 7377.676)}»")
    good = _log(*_loaded(_A, context=131072), _CACHE.format(0, 0))
    source = "llama.cpp tools/server/server-task.cpp, server_prompt_cache; measured on 0.34.3"


class LoadedWithLess(LogRule):
    id = "OLL615"
    name = "loaded-with-less"
    summary = "a model that was loaded with less context, or for fewer calls at once, than Ollama is set to"
    why = (
        "Ollama serves some architectures one call at a time whatever OLLAMA_NUM_PARALLEL says: the other calls wait. "
        "If the context, Ollama's default or a num_ctx, is longer than the model supports, Ollama cuts it to what the "
        "model supports (an info). Clients get no message."
    )
    fix = "If the model does enough for you, do nothing. Otherwise, use another model."
    bad = _log(f"«{_line('WARN', _ONE_AT_ONCE, 'architecture=qwen3next')}»", *_loaded(_A))
    good = _log(*_loaded(_A))
    source = "server/sched.go and llm/server.go of 0.34.3"


class OutOfMemoryInAnswer(LogRule):
    id = "OLL616"
    name = "out-of-memory-in-answer"
    severity = Severity.ERROR
    summary = "a runner that ran out of memory during an answer, after which Ollama unloaded every model"
    why = (
        "From 0.30 on Ollama then unloads all models, even pinned ones, before the next call: each of them has to be "
        "loaded again, and a model that was pinned is no longer pinned."
    )
    fix = "Give the models less context or fewer parallel slots, bound the prompt cache, or load fewer models."
    bad = _log(*_loaded(_A), f"«{_line('WARN', _RAN_OUT, f'model={_A} {_CUDA}', 9)}»")
    good = _log(*_loaded(_A))
    source = "server/sched.go of 0.34.3, expireRunnersForRuntimeOOM; not measured: it needs a GPU"


LOG_RULES: Final[tuple[type[LogRule], ...]] = (
    IgnoredSetting,
    Evicted,
    OutOfMemory,
    FailedLoad,
    RunnerDied,
    ReloadedWithOptions,
    PromptTruncated,
    SlowCall,
    FailedCalls,
    NeverReleased,
    MemoryKept,
    MemoryAlarm,
    LeakingRelease,
    PromptCacheGrows,
    LoadedWithLess,
    OutOfMemoryInAnswer,
)
