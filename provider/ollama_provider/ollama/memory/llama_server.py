"""What llama-server takes, which serves every GGUF model from Ollama 0.30 on; nothing is asked.

Sources: Ollama 0.34.3 for how it starts it (server/sched.go, llm/llama_server.go), llama.cpp b10970 for what it takes.
What was measured and not read says so. `python -m benchmarks.memory_dry_run` compares the buffers with llama.cpp's own
dry run, `python -m benchmarks.memory_process` all of it with real processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ollama_provider.ollama.memory.buffers import BYTES_OF_32, Buffers, Load, buffers, known, read
from ollama_provider.ollama.memory.compat import translated
from ollama_provider.ollama.memory.graphs.graph_room import nodes_of, written
from ollama_provider.ollama.memory.hparams import Hparams, Tensor
from ollama_provider.ollama.memory.parts import Estimate, RefusedLoadError, UnknownArchitectureError
from ollama_provider.ollama.memory.weights import loaded_bytes, tokens_of
from ollama_provider.ollama.settings.batches import automatic_batch
from ollama_provider.ollama.settings.kv_cache_types import UNQUANTISED
from ollama_provider.ollama.sizes import MIB

DEFAULT_PROMPT_CACHE: Final = 8192 * MIB  # bytes of a runner, where LLAMA_ARG_CACHE_RAM says nothing
_MOST_PARALLEL: Final = 256  # LLAMA_MAX_SEQ in llama-cparams.h
# Served one request at a time, whatever OLLAMA_NUM_PARALLEL says, as embedding models are (server/sched.go:512, and the
# same in 0.30.0).
ONE_AT_A_TIME: Final = frozenset(
    {
        "mllama", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen3next", "lfm2", "lfm2moe", "nemotron_h",
        "nemotron_h_moe", "nemotron_h_omni",
    }
)  # fmt: skip
_EMBEDDING_BATCH: Final = 2048  # DefaultEmbeddingNumBatch in llm/llama_server.go
# What Ollama adds to its prediction for a batch (server/sched.go:911).
_SURCHARGES: Final = {2048: 2048 * MIB, 1024: 768 * MIB, 512: 0}
_CHECKPOINTS_A_PROMPT, _MOST_CHECKPOINTS = 2, 32  # tools/server/server-context.cpp; common.h (n_ctx_checkpoints)
_KEPT_COPY: Final = 32 * MIB  # measured: of recurrent states one copy more, as large as glibc's malloc keeps them

# Measured: the process with the smallest model, and what a token of the vocabulary takes in it, by its tokenizer.
_PROCESS: Final = 12 * MIB
_TOKEN: Final = {"llama": 170, "bert": 180}  # SentencePiece and WordPiece
_BYTE_PAIR: Final = 280
_TENSORS_A_LAYER: Final = 12  # where their list is not known


def estimate(
    metadata: Mapping[str, Any],
    *,
    weights_bytes: int,
    num_ctx: int,
    parallel: int,
    kv_cache_type: str,
    flash_attention: bool | None,
    prompt_cache_bytes: int,
    tensors: Iterable[Tensor] | None = None,
    embedding_bytes: int | None = None,
) -> Estimate:
    """As `memory.estimate` has it. Raises UnknownArchitectureError, ValueError."""
    hparams = read_model(metadata, tensors)
    load = load_of(hparams, num_ctx, parallel, kv_cache_type, flash_attention)
    found = buffers(hparams, load)
    weights = loaded_bytes(hparams, weights_bytes, embedding_bytes)
    row = 4 * (tokens_of(hparams) + (hparams.width if load.embeds else 0))
    output, output_at_load = row * load.shown, row * load.requests
    state = _checkpoint(found, load)
    checkpoints = _CHECKPOINTS_A_PROMPT * state + min(found.recurrent, _KEPT_COPY) * (not load.embeds)
    work = found.work
    return Estimate(
        weights=weights,
        kv_cache=found.kv_cache,
        recurrent=found.recurrent,
        compute=found.compute + work,
        output=output,
        checkpoints=checkpoints,
        masks=0,
        long_prompts=0,
        vocabulary=_vocabulary(hparams),
        process=_PROCESS + _graphs(hparams, load),
        prompt_cache=_prompt_cache(prompt_cache_bytes, found, load)
        + (_MOST_CHECKPOINTS - _CHECKPOINTS_A_PROMPT) * state,
        predicted_by_ollama=_predicted(Hparams(metadata), load, weights_bytes),
        listed_by_ollama=weights + found.listed_kv_cache + found.recurrent + found.compute + output_at_load,
        later=checkpoints + work + output - output_at_load,
    )


def read_model(metadata: Mapping[str, Any], tensors: Iterable[Tensor] | None = None) -> Hparams:
    """What the metadata say of a model whose memory is known. Raises UnknownArchitectureError, ValueError."""
    hparams = Hparams(*translated(metadata, tensors))
    read(hparams)
    hparams.vocabulary = tokens_of(hparams)
    if any(key.startswith("clip.") for key in metadata) or hparams.get("vision.block_count"):
        raise UnknownArchitectureError(
            f"the memory of the architecture {hparams.architecture!r} with a projector is not known"
        )
    return hparams


def most_parallel(metadata: Mapping[str, Any]) -> int:
    """How many requests at once Ollama lets the model have at most. Raises as `estimate` does."""
    hparams = read_model(metadata)
    return 1 if _embeds(hparams) or hparams.architecture in ONE_AT_A_TIME else _MOST_PARALLEL


def load_of(hparams: Hparams, num_ctx: int, parallel: int, kv_cache_type: str, flash_attention: bool | None) -> Load:
    """As Ollama starts llama-server on a machine without a GPU. Raises RefusedLoadError where that ends the load.

    `flash_attention` None is automatic: a CPU has it for every architecture but grok.
    """
    embeds = _embeds(hparams)
    num_ctx = min(num_ctx, hparams.trained_context or num_ctx)
    parallel = 1 if embeds or hparams.architecture in ONE_AT_A_TIME else min(parallel, _MOST_PARALLEL)
    has_flash = flash_attention is not False and known(hparams).has_flash_attention
    if kv_cache_type not in UNQUANTISED:
        _check_cache_type(hparams, kv_cache_type, has_flash)
    batch = automatic_batch(num_ctx * parallel)
    if embeds:
        batch = min(_EMBEDDING_BATCH, num_ctx)
    return Load(num_ctx, parallel, batch, kv_cache_type, has_flash, batch if embeds else parallel, embeds)


def _embeds(hparams: Hparams) -> bool:
    """Ollama goes by the key, whatever its value (`Has("pooling_type")` in llm/llama_server.go)."""
    return hparams.get("pooling_type") is not None


def _check_cache_type(hparams: Hparams, kv_cache_type: str, has_flash_attention: bool) -> None:
    """Raises RefusedLoadError: what llama_init_from_model refuses (llama-context.cpp:3704)."""
    if not has_flash_attention:
        raise RefusedLoadError(
            f"a KV cache of {kv_cache_type} without flash attention: llama-server fails to load the model"
        )
    for length in {*hparams.key[: hparams.layers], *hparams.value[: hparams.layers]}:
        if length % 32:
            raise RefusedLoadError(
                f"a KV cache of {kv_cache_type} and heads of {length}, which is not a multiple of 32: llama-server "
                "fails to load the model"
            )


def _checkpoint(found: Buffers, load: Load) -> int:
    """Bytes of what cannot be rolled back, of all requests: states, and the caches of layers with a window.

    Made for a completion alone, and not for a model without such layers (server-context.cpp:3460).
    """
    return 0 if load.embeds else found.recurrent + found.window_cache


def _prompt_cache(allowed: int, found: Buffers, load: Load) -> int:
    """A negative bound is that of the context's tokens (server-task.cpp; measured); embeddings keep no prompt."""
    if load.embeds:
        return 0
    return found.kv_cache + found.recurrent if allowed < 0 else allowed


def _predicted(hparams: Hparams, load: Load, weights_bytes: int) -> int:
    """PredictServerVRAM in llm/llama_server.go:2701, of the least KV heads and the most heads of any layer."""
    heads = max(hparams.heads, default=0)
    kv_heads = max(1, min(hparams.kv_heads, default=1))
    length = hparams.width // heads if heads else 0
    cache = 2 * hparams.layers_all * kv_heads * length * load.num_ctx * load.requests * 2
    surcharge = 0 if load.embeds else _SURCHARGES[load.batch]
    return weights_bytes + cache + surcharge


def _vocabulary(hparams: Hparams) -> int:
    return tokens_of(hparams) * _TOKEN.get(str(hparams.tokenizer), _BYTE_PAIR)


def _graphs(hparams: Hparams, load: Load) -> int:
    count = _TENSORS_A_LAYER * hparams.layers_all if hparams.tensors is None else len(hparams.tensors)
    return written(nodes_of(hparams.architecture, count, min(load.batch, load.num_ctx * load.requests)))


__all__ = ["BYTES_OF_32", "DEFAULT_PROMPT_CACHE", "ONE_AT_A_TIME", "estimate", "load_of", "most_parallel", "read_model"]
