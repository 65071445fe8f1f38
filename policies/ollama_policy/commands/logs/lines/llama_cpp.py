"""Lines of llama.cpp, which runs inside a runner and writes into Ollama's log: what it took, what it keeps of prompts.

They do not say which runner wrote them. Facts: llama.cpp b10970, src/ and tools/server/server-task.cpp.
"""

import re
from typing import Final, NamedTuple

from ollama_policy.commands.logs.model import Buffer
from ollama_provider.ollama.sizes import MIB

# What its lines begin with, so that they are passed over at once; GIN's list of routes is another such.
LLAMA_CPP: Final = (
    b"llama_",
    b"load_tensors:",
    b"print_info:",
    b"load: ",
    b"[GIN-debug]",
    b"ggml_",
    b"create_tensor:",
    b"srv ",
    b"slot ",
    b"cmn ",
    b"common_",
    b"sched_reserve:",
    b"alloc_compute_meta:",
    b"resolve_fused_ops:",
)

_BUFFER: Final = re.compile(
    rb"([A-Za-z_][A-Za-z0-9_]{0,63}): +(\S{1,64}) +(model|KV|compute|output|RS) buffer size = *(\d{1,12}\.\d\d [KMG]iB)"
)
_NAME: Final = re.compile(rb"llama_model_loader: - kv +\d+: +general\.name str += (.*)")
_OFFLOADED: Final = re.compile(rb"load_tensors: offloaded (\d{1,6})/(\d{1,6}) layers to GPU")
_CREATING: Final = re.compile(rb"llama_kv_cache\w{0,32}: creating +(\S.{0,64}?) KV cache, size")
_ROLES: Final = {b"SWA": " of the sliding window", b"indexer": " of the indexer"}

_MIB: Final = rb"(\d{1,12}\.\d{3}) MiB"
_STATE: Final = re.compile(
    rb"cache state: (\d{1,9}) prompts, " + _MIB + rb" \(limits: " + _MIB + rb", (\d{1,12}) tokens"
)
_LIMIT: Final = re.compile(rb"prompt cache is enabled, size limit: (?:(\d{1,9}) MiB|no limit)")
_DROPPED: Final = re.compile(
    rb"(?:making room for prompt cache entry|cache (?:size|token) limit .{0,64}reached), removing oldest entry"
)
_SKIPPED: Final = re.compile(rb"prompt state size " + _MIB + rb" exceeds cache size limit " + _MIB + rb", skipping")
_CANCELED: Final = re.compile(rb"srv +stop: cancel task, id_task = \d{1,9}")
_SHIFT: Final = re.compile(rb"slot context shift, n_keep = \d{1,9}, n_left = \d{1,9}, n_discard = (\d{1,9})")


def buffer(text: bytes, role: str = "") -> Buffer | None:
    """What llama.cpp took: `llama_kv_cache: CPU KV buffer size = 0.50 MiB`."""
    found = _BUFFER.search(text) if b" buffer size = " in text else None
    if found is None:
        return None
    component, device, kind, taken = (part.decode("utf-8", "replace") for part in found.groups())
    if kind != "KV":
        role = " of the projector" if component == "alloc_compute_meta" else ""
    return Buffer(component, device, kind, role, taken)


def role_of_cache(text: bytes) -> str | None:
    """Which of a model's KV caches the next buffers are of; None where the line is about something else."""
    found = _CREATING.match(text) if b": creating " in text else None
    return None if found is None else _ROLES.get(found[1], "")


def general_name(text: bytes) -> str:
    """What the weights call themselves; "" where the line is about something else."""
    found = _NAME.match(text) if b" general.name " in text else None
    return found[1][:200].decode("utf-8", "replace") if found else ""


def are_all_offloaded(text: bytes) -> bool:
    """Whether the line says that every layer is on a GPU."""
    found = _OFFLOADED.match(text) if b"offloaded" in text else None
    return found is not None and int(found[1]) >= int(found[2])


class CacheState(NamedTuple):
    """What a runner keeps of prompts: how many, in bytes, of at most `limit` bytes (0: none but the tokens)."""

    prompts: int
    held: int
    limit: int
    limit_tokens: int


def cache_state(text: bytes) -> CacheState | None:
    found = _STATE.search(text) if b"cache state: " in text else None
    if found is None:
        return None
    return CacheState(int(found[1]), _bytes(found[2]), _bytes(found[3]), int(found[4]))


def cache_limit(text: bytes) -> int | None:
    """The bound in bytes with which a prompt cache is made, 0 where there is none; None for another line."""
    found = _LIMIT.search(text) if b"prompt cache is enabled" in text else None
    return None if found is None else int(found[1] or 0) * MIB


def has_dropped(text: bytes) -> bool:
    """Whether an older prompt had to go, since the cache is at its bound."""
    return b"removing oldest entry" in text and _DROPPED.search(text) is not None


class Skipped(NamedTuple):
    """A prompt that is larger than the whole cache may be, in bytes."""

    needed: int
    limit: int


def skipped(text: bytes) -> Skipped | None:
    found = _SKIPPED.search(text) if b"exceeds cache size limit" in text else None
    return None if found is None else Skipped(_bytes(found[1]), _bytes(found[2]))


def is_canceled(text: bytes) -> bool:
    """Whether it says that the connection of a call was closed before its answer was complete."""
    return b"cancel task" in text and _CANCELED.match(text) is not None


def shift(text: bytes) -> int | None:
    """How many tokens a full context has lost; None for another line."""
    found = _SHIFT.search(text) if b"context shift" in text else None
    return None if found is None else int(found[1])


def _bytes(mib: bytes) -> int:
    return round(float(mib) * MIB)
