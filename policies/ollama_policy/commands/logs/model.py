"""A model as a log shows it, and a load of it with Ollama's own figures."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from ollama_policy.commands.logs.event import Place
from ollama_provider.ollama.sizes import bytes_of, text_of

_DIGEST: Final = re.compile(r"sha256[-:]([0-9a-f]{64})")
_KINDS: Final = {"KV": "KV cache", "RS": "recurrent state"}
_DEFAULTS: Final = ("registry.ollama.ai/", "library/")


class Model:
    """A model by the digest of its weights: runners are known by their file, and most lines have nothing else."""

    def __init__(self, digest: str, path: str) -> None:
        self.digest = digest
        self.path = path[:1024]
        self.names: dict[str, None] = {}  # in the order in which they were met
        self.label = ""  # general.name of the weights: no name that Ollama knows
        self.is_resident = False
        self.is_pinned = False
        self.context = 0
        self.parallel = 1
        self.options = ""  # of its last load, as its runner's command has them
        self.size = ""
        self.loads = 0
        self.leaving = ""  # why it is on its way out
        self.is_mlx = False
        self.cache: Cache | None = None  # of the prompts before, since its last load

    @staticmethod
    def key(path: str) -> str:
        found = _DIGEST.search(path)
        return f"sha256:{found[1]}" if found else path[:200]

    @staticmethod
    def short(full: str) -> str:
        """`registry.ollama.ai/library/one:latest` and `one` are `one:latest`."""
        for default in _DEFAULTS:
            full = full.removeprefix(default)
        full = full[:200]
        return full if ":" in full.rpartition("/")[2] else f"{full}:latest"

    def name(self, full: str) -> None:
        """Adds a name, as `short` gives it."""
        if len(self.names) < 8:
            self.names[self.short(full)] = None

    @property
    def shown(self) -> str:
        return ", ".join(self.names) or self.digest[:19]


@dataclass
class Cache:
    """What a runner keeps of prompts beside its context. Sizes are bytes; a limit of None is not known, or is none."""

    limit: int | None = None
    limit_tokens: int = 0
    prompts: int = 0
    held: int = 0
    peak: int = 0
    peak_prompts: int = 0
    peak_at: Place | None = None
    may_be: str = ""  # whose it may be, where the peak's line leaves it open: words for a person
    unsure: int = 0  # lines since the last of its own that may be its, too
    updates: int = 0
    dropped: int = 0  # prompts that had to go for others
    told: int = 0  # the peak when it was last said
    is_full: bool = False  # that its bound is reached was said

    def facts(self) -> dict[str, Any]:
        """The figures for programs."""
        return {
            "prompts": self.prompts,
            "bytes": self.held,
            "peak_bytes": self.peak,
            "limit_bytes": self.limit,
            "limit_tokens": self.limit_tokens or None,
            "updates": self.updates,
            "dropped": self.dropped,
        }


@dataclass(frozen=True)
class Buffer:
    """Memory that llama.cpp took: the part of it that says so, the device, what for; `text` as it writes the size."""

    component: str
    device: str
    kind: str
    role: str = field(default="", compare=True)  # which of several of one kind
    text: str = field(default="", compare=False)

    @property
    def what(self) -> str:
        """Such as `KV cache (CPU)`."""
        return f"{_KINDS.get(self.kind, self.kind)}{self.role} ({self.device})"

    @property
    def bytes(self) -> int:
        return bytes_of(self.text) or 0

    @property
    def is_host(self) -> bool:
        """Whether it is the CPU's, as Ollama tells it."""
        return self.device in ("CPU", "BLAS") or self.device.startswith("CPU_") or self.device.endswith("_Host")


@dataclass
class Ahead:
    """What lines say of a load before the line that begins it."""

    path: str = ""  # of the weights
    free: str = ""
    of: str = ""
    gpus: dict[str, str] = field(default_factory=dict)
    limits: list[tuple[Place, str, str, dict[str, Any]]] = field(default_factory=list)  # place, text, cause, facts


class Load:
    """A load while it goes on. Sizes are as Ollama writes them, such as `512.0 KiB`."""

    def __init__(self, model: Model, place: Place) -> None:
        self.model = model
        self.place = place
        self.ended: Place | None = None  # the line that says that the runner answers
        self.counted: Place | None = None  # the line that counts it
        self.count: int | None = None
        self.seconds: float | None = None
        self.free = self.of = self.total = self.shortage = ""
        self.context, self.parallel, self.options = 0, 1, ""
        self.gpus: dict[str, str] = {}
        self.parts: dict[str, dict[str, str]] = {}  # by what it is and by device
        self.buffers: dict[Buffer, None] = {}  # what llama.cpp took, in order
        self.is_offloaded = False  # every layer to GPUs
        self.has_given_up: Place | None = None  # the line that says that its client went away
        self.end: tuple[Place, str, str] | None = None  # the line that says that a runner ended, how, and a word for it

    def add(self, part: str, device: str, text: str) -> None:
        _put(self.parts.setdefault(part, {}), device, text)

    def add_gpu(self, device: str, free: str) -> None:
        _put(self.gpus, device, free)

    def add_buffer(self, taken: Buffer) -> None:
        """A repeated one replaces the one before, as Ollama counts: a layout is tried before it is taken."""
        if taken in self.buffers or len(self.buffers) < 64:
            self.buffers.pop(taken, None)
            self.buffers[taken] = None

    def sum_buffers(self) -> None:
        """Takes as the total what llama.cpp took, where no line gives one."""
        if not self.total and self.buffers:
            self.total = text_of(sum(taken.bytes for taken in self.buffers))

    def in_ps(self) -> str:
        """The size in /api/ps, "" where no line has all of it.

        From 0.30 on it is counted from llama.cpp's lines, of a sliding window's two caches the later one, and without
        the CPU's where every layer is on a GPU (llm/llama_server.go, MemorySize). Of weights that are mapped and partly
        on a GPU it takes off what exceeds their file, whose size is in no line.
        """
        if self.parts or not self.buffers:
            return self.total
        counted = {(taken.component, taken.device, taken.kind): taken for taken in self.buffers}.values()
        on_gpu = [taken for taken in counted if not taken.is_host]
        if self.is_offloaded:
            return text_of(sum(taken.bytes for taken in on_gpu))
        is_split = bool(on_gpu) and any(taken.device.endswith("_Mapped") for taken in counted)
        return "" if is_split else text_of(sum(taken.bytes for taken in counted))

    def text(self) -> str:
        parts = []
        if self.parts:
            parts.append(" + ".join(f"{what} {' and '.join(sizes.values())}" for what, sizes in self.parts.items()))
            parts[0] += f" = {self.total}" if self.total else ""
        if self.buffers:
            taken = [one for one in self.buffers if one.bytes] or list(self.buffers)
            parts.append("llama.cpp took " + " + ".join(f"{one.what} {one.text}" for one in taken))
            parts[-1] += f" = {self.total}" if self.total and not self.parts else ""
        if self.context:
            slots = f", {self.parallel} at once" if self.parallel > 1 else ""
            parts.append(f"context {self.context}{slots}")
        if self.free:
            parts.append(f"{self.free} of {self.of} were free")
        for device, free in list(self.gpus.items())[:8]:
            parts.append(f"{free} on {device}")
        if self.seconds is not None:
            parts.append(f"in {self.seconds:g} s")
        return "loaded: " + "; ".join(parts) if parts else "loaded"

    def facts(self) -> dict[str, Any]:
        """The figures for programs, in bytes where they are sizes."""
        return {
            "weights_kv_graph": {
                what: {device: bytes_of(text) for device, text in sizes.items()} for what, sizes in self.parts.items()
            },
            "total_bytes": bytes_of(self.total),
            "llama_cpp": {taken.what: taken.bytes for taken in self.buffers},
            "context": self.context or None,
            "parallel": self.parallel,
            "system_total_bytes": bytes_of(self.of),
            "system_free_bytes": bytes_of(self.free),
            "gpus_available": {device: bytes_of(text) for device, text in self.gpus.items()},
            "seconds": self.seconds,
            "runners": self.count,
        }


def _put(texts: dict[str, str], key: str, text: str) -> None:
    """No load has more devices than that."""
    if key in texts or len(texts) < 32:
        texts[key] = text[:32]
