"""What the runners take that Ollama had until 0.30, worked out from a GGUF's metadata.

Sources, all of Ollama 0.17.4: the KV cache and the compute buffers of llama.cpp (llama-kv-cache.cpp,
llama-kv-cache-iswa.cpp, llama-context.cpp), Ollama's own engine (kvcache/causal.go, runner/ollamarunner), what Ollama
predicts (`GraphSize` in fs/ggml/ggml.go, `Load` in llm/server.go). `python -m benchmarks.memory_accuracy` compares
each with real runners; constants that were measured and not read say so.

In the formulas: C cells of context, B tokens of a batch, E `embedding_length`, F `feed_forward_length`, H heads,
K experts that a token uses.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ollama_provider.ollama.memory.model_shape import FLASH_ATTENTION, OLLAMA_RUNNER, ModelShape, read_shape
from ollama_provider.ollama.memory.parts import Estimate
from ollama_provider.ollama.sizes import MIB

# Bytes of 32 elements of each type (ggml-common.h: a block of q8_0 or q4_0 has a scale in f16 beside its values), and
# what Ollama takes an element for (kvCacheBytesPerElement: without the scales).
_BYTES_OF_32 = {"f16": 64, "q8_0": 34, "q4_0": 18}
_PREDICTED_BYTES_OF_32 = {"f16": 64, "q8_0": 32, "q4_0": 16}

_NUM_BATCH = 512  # api.DefaultOptions; a request's own num_batch is rare
_CELLS_PADDED_TO = 256  # GGML_PAD in llama-context.cpp; CachePadding of the engine's CPU
_CHECKPOINTS = 24  # DefaultCheckpointCount in kvcache/recurrent.go
_MOST_PARALLEL = 256  # LLAMA_MAX_SEQ in llama-cparams.h

# Measured: resident memory of a runner with the smallest model, less its weights and caches. Three quarters are pages
# of the executable and its libraries, which two runners share.
_LLAMA_RUNNER = 33 * MIB
_OLLAMA_RUNNER = 34 * MIB
_BYTES_A_CELL = 48  # llama-kv-cells.h: position, two more, shift, and a bit for each of 256 sequences, in each cache
_IMAGE = 13 * MIB  # measured: a picture of 2048 x 2048, with which a graph that could see is reserved

# Measured, bytes a token: its text, the maps, and the merges where it has them. Ollama's engine keeps them in Go.
_SENTENCE_PIECE, _BYTE_PAIR, _IN_GO = 152, 273, 110

# Masks of C x B float32 in Ollama's engine. At the load the graph is reserved with two, left to Go's collector
# (`buildMask` in kvcache/causal.go). Beside what else is live there, some 24 MiB by what was measured, shorter ones
# count for little: none to both are still there, and one is taken as there. While prompts are read, Go's heap grows to
# twice what was live at the last collection and one more, and two batches overlap, each with a copy for the graph: 5.
# The copies are from glibc's malloc, which keeps what was freed in the arena of each thread that asked for it, up to
# 32 MiB a piece (DEFAULT_MMAP_THRESHOLD_MAX). Measured on two cores, after twelve prompts in a row: up to 12 pieces.
_MASKS_AT_LOAD, _MASKS_IN_USE, _MASKS_IN_ARENAS = 2, 5, 13
_MOST_IN_ARENA = 32 * MIB
_LIVE_BESIDE = 24 * MIB


class _Load(NamedTuple):
    """One load as Ollama does it: what was asked, cut and rounded."""

    shape: ModelShape
    num_ctx: int
    batch: int
    parallel: int
    kv_cache_type: str
    has_flash_attention: bool

    @property
    def has_ollama_engine(self) -> bool:
        return self.shape.architecture in OLLAMA_RUNNER


def estimate(
    metadata: Mapping[str, Any],
    *,
    weights_bytes: int,
    num_ctx: int,
    parallel: int,
    kv_cache_type: str,
    flash_attention: bool | None,
    embedding_bytes: int | None,
) -> Estimate:
    """As `memory.estimate` has it. A `kv_cache_type` other than f16 needs flash attention to be asked for, and takes it
    to be where `flash_attention` is None.

    Raises UnknownArchitectureError, ValueError.
    """
    load = _load(read_shape(metadata), num_ctx, parallel, kv_cache_type, flash_attention)
    embedding = _embedding_bytes(load.shape, weights_bytes) if embedding_bytes is None else embedding_bytes
    is_doubled = load.has_ollama_engine and load.shape.is_tied
    weights = weights_bytes + (embedding if is_doubled else 0)
    kv_cache, recurrent, graph = _kv_cache(load), _recurrent(load), _graph(load)
    compute, long_prompts = graph + _work(load), _long_prompts(load)
    said = (
        weights + kv_cache + recurrent + graph
        if load.has_ollama_engine
        else _predicted_for_llama(load, weights_bytes, embedding)
    )
    return Estimate(
        weights=weights,
        kv_cache=kv_cache,
        recurrent=recurrent,
        compute=compute,
        output=0,
        checkpoints=0,
        masks=_masks_at_load(load),
        long_prompts=long_prompts,
        vocabulary=_vocabulary(load),
        process=_runner(load),
        prompt_cache=0,
        predicted_by_ollama=said,
        listed_by_ollama=said,
        later=compute + long_prompts,
    )


def most_parallel(metadata: Mapping[str, Any]) -> int:
    """How many requests at once Ollama lets the model have at most. Raises as `estimate` does."""
    return read_shape(metadata).most_parallel or _MOST_PARALLEL


def _load(shape: ModelShape, num_ctx: int, parallel: int, kv_cache_type: str, flash_attention: bool | None) -> _Load:
    """llm/server.go: the context is cut to the trained, the batch to the context; some models take one at a time.

    Flash attention that is asked for is refused to gemma2, and to heads whose keys and values differ. Where nothing is
    asked, llama.cpp finds that its CPU can do it (LLAMA_FLASH_ATTN_TYPE_AUTO), and Ollama's engine has a list
    (`FlashAttention` in ggml.go). A cache is quantised only where it is asked for and not refused.
    """
    num_ctx = min(num_ctx, shape.trained_context or num_ctx)
    parallel = min(parallel, shape.most_parallel or parallel)
    if shape.is_embedding:
        # Without a cache, all of the text is one batch; and a pooled model has no flash attention.
        return _Load(shape, num_ctx, num_ctx, parallel, "f16", has_flash_attention=False)
    asked = True if flash_attention is None and kv_cache_type != "f16" else flash_attention
    is_refused = shape.architecture == "gemma2" or shape.key != shape.value
    has_ollama_engine = shape.architecture in OLLAMA_RUNNER
    if asked is None:
        has = not has_ollama_engine or (shape.architecture in FLASH_ATTENTION and not is_refused)
    else:
        has = asked and not is_refused
    cache_type = kv_cache_type if asked and has else "f16"
    return _Load(shape, num_ctx, min(_NUM_BATCH, num_ctx), parallel, cache_type, has_flash_attention=has)


def _cells(load: _Load, layer: int) -> int:
    """Cells of a layer's cache, over all requests.

    llama.cpp: num_ctx for each request, padded to 256; with a window too, since `swa_full` is its default.
    Ollama's engine: parallel x num_ctx, or with a window parallel x window + B (one more a request, where there are
    several), padded to 256 as a whole.
    """
    shape, parallel = load.shape, load.parallel
    if shape.is_embedding:
        return 0
    if not load.has_ollama_engine:
        return parallel * _padded(load.num_ctx)
    window = shape.window + (1 if parallel > 1 else 0)
    if shape.is_global(layer) or window >= load.num_ctx:
        return _padded(parallel * load.num_ctx)
    return _padded(parallel * window + load.batch)


def _kv_cache(load: _Load) -> int:
    """Per layer: cells x KV heads x (key_length + value_length) x bytes of an element."""
    shape = load.shape
    elements = sum(_cells(load, layer) * heads for layer, heads in enumerate(shape.kv_heads))
    return elements * (shape.key + shape.value) * _BYTES_OF_32[load.kv_cache_type] // 32


def _recurrent(load: _Load) -> int:
    """kvcache/recurrent.go, a layer: its rows in float32 for each request, and 24 checkpoints of them."""
    shape = load.shape
    layers = sum(heads == 0 for heads in shape.kv_heads)
    return layers * 4 * shape.convolution * shape.width * load.parallel * (1 + _CHECKPOINTS)


def _mask_cells(load: _Load) -> list[int]:
    """The cells that each mask of one token covers: one mask a kind of layer, global ones and those with a window.

    llama.cpp lays the requests of a batch side by side, Ollama's engine end to end.
    """
    shape = load.shape
    if shape.is_embedding:
        return []
    attending = [layer for layer, heads in enumerate(shape.kv_heads) if heads]
    of_kinds = {shape.is_global(layer): _cells(load, layer) for layer in attending}
    return [cells if load.has_ollama_engine else cells // load.parallel for cells in of_kinds.values()]


def _masks_at_load(load: _Load) -> int:
    """4 x C x B for each kind of mask, twice, as the graph is reserved twice; or once.

    Go collects when its heap is twice what was live the last time. Where the longest mask outweighs all else that is
    live, it sets that off while the first graph lives, the second graph comes too early for another, and both are left.
    Else the second sets one off, which gives the first's masks back.
    """
    masks = sorted(_masks(load))
    return sum(masks) * (_MASKS_AT_LOAD if masks and masks[-1] > _LIVE_BESIDE + sum(masks[:-1]) else 1)


def _long_prompts(load: _Load) -> int:
    """What is beyond the masks of the load, of which the last are as long as all requests' cells."""
    masks = _masks(load)
    in_arenas = sum(min(mask, _MOST_IN_ARENA) for mask in masks)
    return _MASKS_IN_USE * sum(masks) - _masks_at_load(load) + _MASKS_IN_ARENAS * in_arenas


def _masks(load: _Load) -> list[int]:
    """Bytes of those that Ollama's engine makes outside of the graph."""
    return [4 * cells * load.batch for cells in _mask_cells(load)] if load.has_ollama_engine else []


def _graph(load: _Load) -> int:
    """The most that is alive at once in the graph of one batch, of 4 bytes an element; of logits only the last token's.

    With flash attention, masks are in f16. llama.cpp has them in float32 before, all at once, beside the activations of
    an attention block (4 E); then a feed-forward block has the most: gate, up and their product (3 F; of K experts
    3 K F, or K F and K E) beside what is added back and the norms (4 E; 3 E in Ollama's engine), or a convolution
    (7 E). Heads that are wider than E have more: the queries (Q) and what attention makes of them, or keys and values.
    Without flash attention, there are the scores of C x B x H beside 2 Q and 2 E, in llama.cpp 3 E, keys, values and
    the masks. Where the parts are not whole in the logs, they are rounded up.
    """
    shape, batch = load.shape, load.batch
    if shape.is_embedding:
        return _embedding_graph(load)
    wide = 4 * batch * shape.width
    queries, keys = 4 * batch * shape.heads * shape.key, 4 * batch * max(shape.kv_heads) * shape.key
    used = max(1, shape.experts_used)
    inner = 4 * batch * used * max(3 * shape.inner, shape.inner + shape.width if shape.experts else 0)
    masks, scores = _mask_cells(load), _scores(load)
    in_f16, in_f32 = 2 * batch * sum(masks), 4 * batch * sum(masks)
    if load.has_ollama_engine:
        attention = max(2 * queries, queries + 2 * keys) + 3 * wide
        block = max(inner + 3 * wide, attention, 7 * wide if shape.convolution else 0)
        return in_f16 + block if load.has_flash_attention else max(scores + 2 * (queries + wide), block)
    if load.has_flash_attention:
        attention = max(2 * queries, queries + 3 * keys) + 3 * wide
        return max(in_f32 + 2 * batch * max(masks) + 4 * wide, in_f16 + attention, in_f16 + inner + 4 * wide)
    return in_f32 + max(scores + 2 * (queries + keys) + 3 * wide, inner + 4 * wide)


def _scores(load: _Load) -> int:
    """C x B x H float32 of the longest mask."""
    return 4 * max(_mask_cells(load), default=0) * load.batch * load.shape.heads


def _work(load: _Load) -> int:
    """Without flash attention, the CPU makes f16 of the scores, for values in f16 (`ggml_graph_plan` in ggml-cpu.c)."""
    return 0 if load.has_flash_attention else _scores(load) // 2


def _embedding_graph(load: _Load) -> int:
    """Scores of C x C x H beside 5 E a token, in nomic-bert 7 E; or the feed-forward block, where it has more."""
    shape, tokens = load.shape, load.num_ctx
    is_bert = shape.architecture == "bert"
    attention = tokens * shape.heads + (5 if is_bert else 7) * shape.width
    feed_forward = 2 * shape.width + (2 if is_bert else 3) * shape.inner
    return 4 * tokens * max(attention, feed_forward)


def _vocabulary(load: _Load) -> int:
    shape = load.shape
    a_token = _IN_GO if load.has_ollama_engine else _BYTE_PAIR if shape.has_byte_pairs else _SENTENCE_PIECE
    return shape.vocabulary * a_token


def _runner(load: _Load) -> int:
    if load.has_ollama_engine:
        return _OLLAMA_RUNNER + (_IMAGE if load.shape.architecture in ("gemma3", "lfm2") else 0)
    return _LLAMA_RUNNER + _BYTES_A_CELL * load.parallel * sum(_mask_cells(load))


def _predicted_for_llama(load: _Load, weights: int, embedding: int) -> int:
    """GraphSize: every layer with the whole context, no window; neither the graph nor the input's embedding counts."""
    shape = load.shape
    elements = load.num_ctx * load.parallel * (shape.key + shape.value) * sum(shape.kv_heads)
    counted = weights if shape.is_tied else max(0, weights - embedding)
    return counted + elements * _PREDICTED_BYTES_OF_32[load.kv_cache_type] // 32


def _embedding_bytes(shape: ModelShape, weights_bytes: int) -> int:
    """The embedding's share of the weights: it is taken to be quantised as the average of the model is."""
    if shape.parameters == 0:
        return min(weights_bytes, 2 * shape.vocabulary * shape.width)
    return weights_bytes * min(shape.parameters, shape.vocabulary * shape.width) // shape.parameters


def _padded(cells: int) -> int:
    return -(-cells // _CELLS_PADDED_TO) * _CELLS_PADDED_TO
