"""A server and declarations, built by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ollama_policy.commands.remedies.facts import Server
from ollama_policy.commands.remedies.remedy import Remedy
from ollama_policy.live.reclaimable import Facts, Intent, plan
from ollama_provider.ollama.answers import InstalledModel, ModelDetails, Running, RunningModel
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import MIB

URL = "http://one:11434"
HERE = datetime(2026, 1, 1, 12, tzinfo=UTC)
FOR_EVER = timedelta(seconds=9223372036)
DIGEST, OLD = "aa" * 32, "bb" * 32
LLAMA = {
    "general.architecture": "llama",
    "general.parameter_count": 8_030_261_248,
    "llama.block_count": 32,
    "llama.context_length": 131072,
    "llama.embedding_length": 4096,
    "llama.feed_forward_length": 14336,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.vocab_size": 128256,
}


def held(
    text: str, size: int = 100 * MIB, left: timedelta = FOR_EVER, digest: str = DIGEST, context: int = 4096
) -> RunningModel:
    return RunningModel(ModelName.parse(text), digest, HERE + left, size, 0, context, "llama", "8B", "F16")


def server(
    *in_memory: RunningModel,
    on_disk: Sequence[str] | None = None,
    version: str = "0.17.4",
    metadata: dict[str, Any] | None = None,
) -> Server:
    """A server that holds these, and has on disk what it holds, where nothing else is said."""
    names = [str(model.name) for model in in_memory] if on_disk is None else on_disk
    installed = {
        name: InstalledModel(name, DIGEST, 16 * 2**30, "llama", "8B", "F16") for name in map(ModelName.parse, names)
    }
    running = Running(tuple(in_memory), HERE)
    details = {
        name: ModelDetails("sha256:x", 131072, ("completion",), metadata=LLAMA if metadata is None else metadata)
        for name in installed
    }
    entries = plan(Facts(installed, running), Intent()).entries
    return Server(URL, version, installed, running, details, entries)


def by_id(remedies: Sequence[Remedy], kind: str) -> list[Remedy]:
    return [one for one in remedies if one.id == kind]
