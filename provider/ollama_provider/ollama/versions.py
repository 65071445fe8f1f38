"""What Ollama does from which version on: the one table, and the only comparisons of versions.

"Measured" means that the behaviour was seen on a real server (0.34.3, and where it differs 0.17.4); in which release it
changed is always read in the sources. `file:line` is of Ollama 0.34.3 unless the row names a version.
"""

import re
from enum import Enum
from typing import NamedTuple

Version = tuple[int, int, int]

LLAMA_SERVER_SINCE: Version = (0, 30, 0)
OLDEST_SUPPORTED: Version = (0, 6, 4)  # the first whose /api/show tells a model's capabilities
NEWEST_KNOWN: Version = (0, 34, 3)
DEVELOPMENT_BUILD: Version = (0, 0, 0)  # what an Ollama that was built without a version says of itself


class _Row(NamedTuple):
    what: str
    source: str
    is_measured: bool
    since: Version | None = None
    until: Version | None = None


class Behavior(Enum):
    """One thing that Ollama does, from `since` on and before `until`; None: from the first, or still today."""

    LLAMA_SERVER = _Row(
        "llama.cpp's llama-server, a program of its own, runs every GGUF model",
        "llm/llama_server.go:434",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    PROMPT_CACHE = _Row(
        "a runner keeps the states of past prompts in memory, up to LLAMA_ARG_CACHE_RAM MiB, 8192 by default",
        "llama.cpp tools/server/server-task.cpp, common/common.h (cache_ram_mib); issue 18264",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    AUTOMATIC_FLASH_ATTENTION = _Row(
        "flash attention is used where the device can do it, whether OLLAMA_FLASH_ATTENTION is set or not",
        "llm/llama_server.go (--flash-attn auto)",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    UNCHECKED_KV_CACHE_TYPE = _Row(
        "OLLAMA_KV_CACHE_TYPE goes to llama.cpp as it is; before, another type than f16, q8_0 and q4_0 is ignored",
        "llm/llama_server.go (--cache-type-k)",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    HEAD_SIZE_LIMITS_QUANTISED_KV = _Row(
        "a quantised KV cache on a head size that is not a multiple of 32 fails each load with HTTP 500",
        "llama.cpp src/llama-context.cpp",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    AUTOMATIC_BATCH = _Row(
        "the batch is 512 tokens, 1024 for a context past 4,096 and 2048 past 32,768; before, always 512",
        "server/sched.go:864",
        is_measured=False,
        since=LLAMA_SERVER_SINCE,
    )
    EVICTS_ON_CPU = _Row(
        "a server without a GPU evicts a model when the next does not fit; after, only a GPU's memory is looked at",
        "server/sched.go:552",
        is_measured=True,
        until=LLAMA_SERVER_SINCE,
    )
    REFUSES_TOO_LARGE = _Row(
        "a load whose prediction is over all of the system's memory and swap is refused; after, nothing is",
        "llm/server.go of 0.17.4 (model requires more system memory); server/sched.go of 0.34.3 has no such check",
        is_measured=False,
        until=LLAMA_SERVER_SINCE,
    )
    SPARES_A_FIFTH = _Row(
        "a load evicts when its prediction exceeds 80 % of the free memory, not all of it",
        "server/sched.go:555",
        is_measured=False,
        since=LLAMA_SERVER_SINCE,
    )
    CONTEXT_BY_VRAM = _Row(
        "without OLLAMA_CONTEXT_LENGTH the context is 4,096 tokens, 32,768 from 23 GiB of VRAM, 262,144 from 47 GiB",
        "server/routes.go (defaultNumCtx)",
        is_measured=False,
        since=(0, 15, 5),
    )
    MAIN_GPU_RELOADS = _Row(
        "`main_gpu` in a request's options reloads the model",
        "server/sched.go:1390",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    DRAFT_RELOADS = _Row(
        "`draft_num_predict` in a request's options reloads the model",
        "server/sched.go:1390",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    SHIFT_RELOADS = _Row(
        "`shift: false` in a request reloads the model",
        "server/sched.go:1426",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    CONTEXT_IN_FORCE_COUNTS = _Row(
        "`num_ctx` as /api/ps reports it reloads nothing; before, it does if the context was cut to the model's",
        "server/sched.go:1407",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    NO_MMAP_RELOADS = _Row(
        "`use_mmap: false` in a request's options reloads the model on a CPU; after, it is the default there",
        "server/sched.go:1414",
        is_measured=True,
        until=LLAMA_SERVER_SINCE,
    )
    EMBED_REFUSED_FOR_CHAT = _Row(
        "/api/embed answers HTTP 501 for a chat model, and loads it for 5 minutes all the same",
        "llama.cpp tools/server/server.cpp (does not support embeddings)",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
    )
    LOCAL_AND_CLOUD_TAGS = _Row(
        "the tag `local` is taken off by generate, show, embed, pull and delete, not by create and copy; a tag "
        "`cloud` or ending in `-cloud` goes to ollama.com",
        "internal/modelref/modelref.go:97",
        is_measured=True,
        since=(0, 18, 0),
    )
    REFUSES_IMAGE_MODELS = _Row(
        "a model that makes images is not loaded: HTTP 400; 0.18.0 loads it, the releases between were not read",
        "server/routes.go:437, and of 0.32.15: server/routes.go:417",
        is_measured=True,
        since=(0, 32, 15),
    )
    REWRITES_GGUF = _Row(
        "create rewrites an uploaded GGUF by `llama-quantize COPY`: the model has another blob than the upload",
        "server/quantization.go of 0.34.0",
        is_measured=True,
        since=LLAMA_SERVER_SINCE,
        until=(0, 34, 1),
    )
    KEEPS_SPLIT_GGUF = _Row(
        "create keeps a GGUF in several files as several layers, and runs it; before, each call of it fails",
        "server/create_split_gguf.go of 0.34.1",
        is_measured=True,
        since=(0, 34, 1),
    )
    REFUSES_TYPICAL_P = _Row(
        "`typical_p` in options or in a new model's parameters is HTTP 400",
        "server/routes.go:215, server/create.go:69",
        is_measured=True,
        since=(0, 34, 1),
    )

    TRUNCATES_FOR_ANSWER = _Row(
        "a prompt longer than the context is cut to what a first shift leaves, about half; before, to the context",
        "llm/llama_server.go:311; absent in 0.30.10, there in 0.30.11",
        is_measured=True,
        since=(0, 30, 11),
    )
    LOAD_MODE_REPLACES_MLOCK = _Row(
        "LLAMA_ARG_MLOCK, LLAMA_ARG_MMAP and LLAMA_ARG_DIO are gone: LLAMA_ARG_LOAD_MODE says it",
        "llama.cpp common/arg.cpp: in b10760 (0.34.0), not in b10969 (0.34.2 and 0.34.3); 0.34.1 was not looked at",
        is_measured=False,
        since=(0, 34, 2),
    )
    NO_USE_MLOCK = _Row(
        "`use_mlock` in options or parameters is ignored, with a warning in the log",
        "api/types.go, Runner; 0.7.0",
        is_measured=False,
        since=(0, 7, 0),
    )
    NO_OLD_OPTIONS = _Row(
        "mirostat, tfs_z, low_vram and other options of old are ignored, with a warning in the log",
        "api/types.go, Options: read in 0.17.4 and later, none before",
        is_measured=False,
        since=(0, 17, 4),
    )

    @property
    def what(self) -> str:
        return self.value.what

    @property
    def source(self) -> str:
        return self.value.source

    @property
    def is_measured(self) -> bool:
        return self.value.is_measured

    @property
    def since(self) -> Version | None:
        return self.value.since

    @property
    def until(self) -> Version | None:
        return self.value.until

    def holds(self, version: Version | None, *, if_unknown: bool) -> bool:
        """Whether a version does it; a development build counts as the newest, one that is not known as told."""
        return if_unknown if version is None else is_within(version, self.since, self.until)


def is_within(version: Version, since: Version | None, until: Version | None) -> bool:
    """Whether a version is `since` or later and earlier than `until`. A development build is later than all."""
    if version == DEVELOPMENT_BUILD:
        return until is None
    return (since is None or version >= since) and (until is None or version < until)


def is_supported(version: Version) -> bool:
    return is_within(version, OLDEST_SUPPORTED, None)


def version_in(text: str) -> Version | None:
    """The version that a text begins with: `0.5.4`, `v0.5.4-rocm`, `0.33.0-rc2`."""
    match = re.match(r"v?([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?![0-9.])", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


def beyond_known(version: Version | None) -> str | None:
    """A sentence about a version that is newer than all that is known here; None for others."""
    if version is None or version <= NEWEST_KNOWN:
        return None
    return f"Ollama {dotted(version)} is newer than {dotted(NEWEST_KNOWN)}, the newest known version: treated like it"
