"""A model as a log shows it, and a load of it with Ollama's own figures."""

import re
from typing import Any, Final

from ollama_policy.logs.event import Place, size

_DIGEST: Final = re.compile(r"sha256[-:]([0-9a-f]{64})")
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
        self.size = ""
        self.loads = 0

    @staticmethod
    def key(path: str) -> str:
        found = _DIGEST.search(path)
        return f"sha256:{found[1]}" if found else path[:200]

    def name(self, full: str) -> None:
        """Adds a name; `registry.ollama.ai/library/one:latest` is `one:latest`."""
        for default in _DEFAULTS:
            full = full.removeprefix(default)
        if len(self.names) < 8:
            self.names[full[:200]] = None

    @property
    def shown(self) -> str:
        return ", ".join(self.names) or self.digest[:19]


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
        self.context, self.parallel = 0, 1
        self.gpus: dict[str, str] = {}
        self.parts: dict[str, dict[str, str]] = {}  # by what it is and by device
        self.buffers: dict[str, str] = {}  # what llama.cpp took

    def add(self, part: str, device: str, text: str) -> None:
        _put(self.parts.setdefault(part, {}), device, text)

    def add_gpu(self, device: str, free: str) -> None:
        _put(self.gpus, device, free)

    def add_buffer(self, what: str, text: str) -> None:
        _put(self.buffers, what, text)

    def text(self) -> str:
        parts = []
        if self.parts:
            parts.append(" + ".join(f"{what} {' and '.join(sizes.values())}" for what, sizes in self.parts.items()))
            parts[0] += f" = {self.total}" if self.total else ""
        if self.buffers:
            parts.append("llama.cpp took " + " + ".join(f"{what} {text}" for what, text in self.buffers.items()))
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
                what: {device: size(text) for device, text in sizes.items()} for what, sizes in self.parts.items()
            },
            "total_bytes": size(self.total),
            "llama_cpp": {what: size(text) for what, text in self.buffers.items()},
            "context": self.context or None,
            "parallel": self.parallel,
            "system_total_bytes": size(self.of),
            "system_free_bytes": size(self.free),
            "gpus_available": {device: size(text) for device, text in self.gpus.items()},
            "seconds": self.seconds,
            "runners": self.count,
        }


def _put(texts: dict[str, str], key: str, text: str) -> None:
    """No load has more devices than that."""
    if key in texts or len(texts) < 32:
        texts[key] = text[:32]
