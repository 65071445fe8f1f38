"""Published shapes of well-known models as headers, and the loads that the estimate is looked at with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.memory_architectures import ARCHITECTURES, Value
from benchmarks.memory_oracle import Load, Model, Oracle

TABLE: Final = Path(__file__).with_name("published_models.txt")
_FIELDS: Final = (
    "block_count",
    "embedding_length",
    "attention.head_count",
    "attention.head_count_kv",
    "feed_forward_length",
    "vocab_size",
    "context_length",
)
_EPSILON: Final = {"rms": "attention.layer_norm_rms_epsilon", "ln": "attention.layer_norm_epsilon"}
# What llama.cpp wants and has no bearing on memory.
_ALSO: Final[dict[str, dict[str, Value]]] = {
    "gptneox": {"gptneox.use_parallel_residual": True},
    "bert": {"bert.attention.causal": False, "bert.pooling_type": 2, "tokenizer.ggml.token_type_count": 2},
}


@dataclass(frozen=True)
class Published:
    name: str
    architecture: str
    metadata: dict[str, Value]
    source: str

    def model(self, asked: Oracle, mix: str) -> Model:
        """With an output matrix of its own, where the architecture has one at all. Raises EngineError."""
        return asked.made(self.architecture, self.metadata, mix, Random(0), self.name, may_tie=False)

    @property
    def loads(self) -> list[Load]:
        """As Ollama loads it by default; a long context; and four requests at once with a small cache."""
        trained = self.metadata[f"{self.architecture}.context_length"]
        assert isinstance(trained, int)
        embeds = f"{self.architecture}.pooling_type" in self.metadata
        loads = [Load(min(4096, trained), embeds=embeds)]
        if not embeds:
            loads += [Load(min(32768, trained)), Load(min(8192, trained), 4, "q8_0")]
        return list(dict.fromkeys(loads))


def published() -> list[Published]:
    """Raises ValueError where a line of the table is not as its head says."""
    return [_read(line) for line in TABLE.read_text().splitlines() if not line.startswith("#")]


def _read(line: str) -> Published:
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != 2 + len(_FIELDS) + 2:
        raise ValueError(f"{TABLE.name}: {line[:60]!r} has {len(fields)} fields, expected {2 + len(_FIELDS) + 2}")
    name, architecture, *numbers, also, source = fields
    keys: dict[str, Value] = {key: int(number) for key, number in zip(_FIELDS, numbers, strict=True)}
    for part in also.split() if also != "-" else ():
        key, _, value = part.partition("=")
        keys[key] = int(value)
    for norm, key in _EPSILON.items():
        if norm in ARCHITECTURES[architecture].split():
            keys[key] = 1e-5
    metadata = {f"{architecture}.{key}": value for key, value in keys.items()} | _ALSO.get(architecture, {})
    return Published(name, architecture, metadata, source)
