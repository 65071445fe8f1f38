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
    summary = "a server's variable that Ollama said it does not take"
    why = (
        "Ollama writes a warning for a number that is not valid, and runs with its default. Before 0.30 it did so, "
        "too, for a KV cache type that it could not use: f16 in place of q8_0 is twice the cache. From 0.30 on the "
        "load fails then: OLL604. A wrong duration, such as OLLAMA_KEEP_ALIVE, is not taken either, but silently: "
        "`ollama-policy check` finds that one."
    )
    fix = "Write the variable as Ollama reads it, or leave it out."
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
        "Its next call loads it again, and evicts in turn where both are in use: each call waits for a load. Where "
        "memory is short Ollama says so at its usual level, but names the model only with OLLAMA_DEBUG=1, as it does "
        "for one that OLLAMA_MAX_LOADED_MODELS has no room for."
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
    summary = "a load that failed, or had to be tried again, for lack of memory"
    why = (
        "Weights, KV cache and compute graph together exceed what is free. The KV cache grows with context times "
        "parallel slots, and is the part that settings change. What fits at the second try is a warning. "
        "From 0.30 on Ollama tries again with less context, where it chose that itself, or unloads the other models; "
        "before 0.30 with fewer layers on the GPU."
    )
    fix = "Lower num_ctx or OLLAMA_NUM_PARALLEL, quantise the KV cache, take a smaller model, or unload another first."
    bad = _log(f"«{_line('INFO', 'Load failed', f'model={_A} {_NO_MEMORY}')}»")
    good = _log(*_loaded(_A))


class FailedLoad(LogRule):
    id = "OLL604"
    name = "load-failed"
    severity = Severity.ERROR
    summary = "a load that failed for another reason than memory"
    why = (
        "The weights cannot be read, this version does not know them, or the runner did not start. From 0.30 on every "
        "load fails, too, where llama-server does not take a LLAMA_ARG_* variable or the KV cache type. Calls get HTTP "
        "500."
    )
    fix = (
        "Where a variable is named, correct it or leave it out; where the client gave up, let it wait longer; else "
        "pull the model again, and where its architecture is new, update Ollama."
    )
    bad = _log(f"«{_line('INFO', 'Load failed', f'model={_A} {_ENDED}')}»")
    good = _log(*_loaded(_A))


class RunnerDied(LogRule):
    id = "OLL605"
    name = "runner-died"
    severity = Severity.ERROR
    summary = "a runner that crashed or was killed"
    why = (
        "`signal: killed` is most often the kernel, which was out of memory, or the memory limit of a container: the "
        "kernel's own log says so, and `journalctl -k` or `dmesg` shows it. All memory of a runner that ended is given "
        "back, but Ollama notices it only at the model's next call, and a pin is lost."
    )
    fix = "Look for `Out of memory: Killed process` in the kernel's log; give the model less context, or more memory."
    bad = _log(*_loaded(_A), f"«{_line('WARN', 'llama-server process no longer running', _SIGNAL, 9)}»")
    good = _log(*_loaded(_A))


class ReloadedWithOptions(LogRule):
    id = "OLL606"
    name = "reloaded-with-other-options"
    summary = "a model that was loaded again because a client asked for other options"
    why = (
        "A call that differs from the runner in an option that OLL403 lists ends it and starts a new one. Each such "
        "call waits for a load, memory is taken for the larger context, and the old one's pin is lost. Without "
        "OLLAMA_DEBUG=1 it is told from two loads with different contexts."
    )
    fix = "Write the options into the model, and let clients leave them out."
    bad = _log(*_loaded(_A, context=2048), _AGAIN[0], f"«{_AGAIN[1]}»", *_AGAIN[2:])
    good = _log(*_loaded(_A), *_loaded(_A, 9))


class PromptTruncated(LogRule):
    id = "OLL607"
    name = "prompt-truncated"
    summary = "a prompt that was longer than the context, and was cut"
    why = (
        "The model answers without what was left out, and no client is told. The context is what memory was given for: "
        "a larger one costs KV cache for every parallel slot."
    )
    fix = "Give the model a num_ctx that its prompts fit into, where memory allows, or shorten them."
    bad = _log(f"«{_line('WARN', 'truncating input prompt', 'limit=512 prompt=16004 keep=5 new=512')}»")
    good = _FINE


class SlowCall(LogRule):
    id = "OLL608"
    name = "slow-call"
    severity = Severity.INFO
    summary = "a call that took long, and how much of it was a load"
    why = (
        "GIN writes a line for each request that ended; it does not name the "
        "model. A load that ended during the call is said with it: that part is what keeping the model in memory saves."
    )
    fix = "Where it was a load, keep the model in memory; else fewer calls at once, or a smaller context."
    bad = _log(f"«{_CALL.format(200, '2m5s')}»")
    good = _FINE
    source = "GIN's log; measured on 0.17.4"


class FailedCalls(LogRule):
    id = "OLL609"
    name = "failed-calls"
    summary = "calls of a model that the server answered with an error"
    why = (
        "HTTP 500 of a call is a load that failed or a runner that ended while it answered: of the latter Ollama "
        "writes nothing else to its log until the model's next call. 503 is a full queue."
    )
    fix = "Look at what the log says just before; with OLLAMA_DEBUG=1 it says more."
    bad = _log(f"«{_CALL.format(500, '502.7ms')}»")
    good = _FINE
    source = "GIN's log; measured on 0.17.4 and 0.34.3: a runner that is killed during an answer"


class NeverReleased(LogRule):
    id = "OLL610"
    name = "never-released"
    summary = "a server, or a client, that keeps a model in memory forever"
    why = (
        "The memory of what is kept forever is what people call not released. It is right for a model that is "
        "declared resident: a client's pin is an info, and names the model only with OLLAMA_DEBUG=1."
    )
    fix = "Set OLLAMA_KEEP_ALIVE to a duration, and pin by declaration what must stay."
    bad = _log(f"«{_line('INFO', 'server config', _FOR_EVER)}»")
    good = _log(_line("INFO", "server config", 'env="map[OLLAMA_KEEP_ALIVE:5m0s]"'))


class MemoryKept(LogRule):
    id = "OLL611"
    name = "memory-not-returned"
    summary = "memory that did not come back when a model was unloaded"
    why = (
        "Ollama waits for a GPU's free memory to rise after it ended a runner. Where it does not, something else took "
        "it, or the driver still holds it: the next load sees too little."
    )
    fix = "Look at the GPU's processes (nvidia-smi); a runner that is left there can be ended."
    bad = _log(f"«{_line('DEBUG', _NOT_RECOVERED, f'seconds=5.01 {_FREE} {_RUNNER}')}»")
    good = _log(_line("DEBUG", "no need to wait for VRAM recovery", _RUNNER))


class MemoryAlarm(LogRule):
    id = "OLL612"
    name = "memory-alarm"
    severity = Severity.ERROR
    summary = "the line `Memory usage exceeds threshold`, which is not Ollama's own"
    why = (
        "Ollama has no threshold and never writes it: a wrapper or a watcher beside it does, as `ollama-policy logs "
        "--threshold` can. The finding says which models were in memory at that moment, as far as the log tells. A "
        "model in memory is not a leak: what is held after its unload would be."
    )
    fix = "Bound what stays in memory (keep_alive), and `ollama-policy probe` tells a cache from a leak."
    bad = _log(*_loaded(_A), "«ERROR: Memory usage exceeds threshold. Current memory usage: 85%»")
    good = _log(*_loaded(_A))
    source = "the alarm that many monitors write; psutil.virtual_memory().percent"


class LeakingRelease(LogRule):
    id = "OLL613"
    name = "leaking-release"
    summary = "a release of Ollama that is known to leak, by the server's own line"
    why = (
        "As OLL301 says of a configuration: some releases lose memory by defects of their own, and no setting helps. "
        "Only what a later release is known to fix is reported."
    )
    fix = "Update the server; `ollama-policy explain OLL301` tells which releases leak."
    bad = _log(f"«{_line('INFO', 'Listening on [::]:11434 (version 0.6.5)')}»")
    good = _log(_line("INFO", "Listening on [::]:11434 (version 0.34.3)"))
    source = "issues 10040, 10434, 10688 and 10433"


class PromptCacheGrows(LogRule):
    id = "OLL614"
    name = "prompt-cache-grows"
    summary = "a runner's cache of earlier prompts that has grown, by llama-server's own lines"
    why = (
        "From 0.30 on each runner keeps the state of earlier prompts beside its context: up to 8 GiB unless it is "
        "bounded, while /api/ps stays as it was. It is what looks like memory that grows with every call and is not "
        "released; only an unload gives it back. Three models in memory may take three times as much. Where somebody "
        "has set a lower bound, or where the bound is the context's tokens, it is an info. MLX's runner has a cache of "
        "its own, of at most 8 GiB, that no variable bounds: an info as well."
    )
    fix = (
        "Set LLAMA_ARG_CACHE_RAM in the server's environment, to a number of MiB for each runner; 0 turns the cache "
        "off. A reload of the model gives back what it holds now."
    )
    bad = _log(*_loaded(_A, context=131072), f"«{_CACHE.format(27, 7377.676)}»")
    good = _log(*_loaded(_A, context=131072), _CACHE.format(0, 0))
    source = "llama.cpp tools/server/server-task.cpp, server_prompt_cache; measured on 0.34.3"


class LoadedWithLess(LogRule):
    id = "OLL615"
    name = "loaded-with-less"
    summary = "a model that was loaded with less context, or for fewer calls at once, than Ollama was set to"
    why = (
        "Some architectures are served one call at once whatever OLLAMA_NUM_PARALLEL says: the others wait. A context "
        "beyond what the model is made for, Ollama's default or a num_ctx, is cut to that (an info). No client is told."
    )
    fix = "Nothing has to be done where the model can do enough; else take another model."
    bad = _log(f"«{_line('WARN', _ONE_AT_ONCE, 'architecture=qwen3next')}»", *_loaded(_A))
    good = _log(*_loaded(_A))
    source = "server/sched.go and llm/server.go of 0.34.3"


class OutOfMemoryInAnswer(LogRule):
    id = "OLL616"
    name = "out-of-memory-in-answer"
    severity = Severity.ERROR
    summary = "a runner that ran out of memory during an answer, after which Ollama unloaded every model"
    why = (
        "From 0.30 on Ollama then unloads all that is loaded, pinned models too, before the next call: each of them "
        "has to be loaded again, and what was kept forever is not any more."
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
