"""How much memory a model takes on a server without a GPU, worked out from its GGUF's metadata; nothing is asked.

Sources, all of Ollama 0.17.4: the KV cache and the compute buffers of llama.cpp (llama-kv-cache.cpp,
llama-kv-cache-iswa.cpp, llama-context.cpp), Ollama's own engine (kvcache/causal.go, runner/ollamarunner), what Ollama
predicts (`GraphSize` in fs/ggml/ggml.go, `Load` in llm/server.go). `python -m benchmarks memory_accuracy` compares
each with real runners; constants that were measured and not read say so.

In the formulas: C cells of context, B tokens of a batch, E `embedding_length`, F `feed_forward_length`, H heads.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ollama_provider.ollama.model_shape import (
    OLLAMA_RUNNER,
    ModelShape,
    UnknownArchitectureError,
    read_shape,
)

__all__ = ["KV_CACHE_TYPES", "Estimate", "UnknownArchitectureError", "estimate", "largest_num_ctx", "largest_parallel"]

# Bytes of 32 elements of each type (ggml-common.h: a block of q8_0 or q4_0 has a scale in f16 beside its values), and
# what Ollama takes an element for (kvCacheBytesPerElement: without the scales).
_BYTES_OF_32 = {"f16": 64, "q8_0": 34, "q4_0": 18}
_PREDICTED_BYTES_OF_32 = {"f16": 64, "q8_0": 32, "q4_0": 16}
KV_CACHE_TYPES = tuple(_BYTES_OF_32)

_MIB = 2**20
_NUM_BATCH = 512  # api.DefaultOptions; a request's own num_batch is rare
_CELLS_PADDED_TO = 256  # GGML_PAD in llama-context.cpp and llama-kv-cache-iswa.cpp; CachePadding of the engine's CPU

# Measured: resident memory of a runner with the smallest model, less its weights and caches. Three quarters are pages
# of the executable and its libraries, which two runners share.
_LLAMA_RUNNER = 33 * _MIB
_OLLAMA_RUNNER = 38 * _MIB
_BYTES_A_TOKEN = 140  # measured: the text of a token, its maps and its merges


class Estimate(NamedTuple):
    """Bytes of a runner's process by part."""

    weights: int
    """The tensors; Ollama's engine loads tied embeddings twice, once as the output."""
    kv_cache: int
    compute: int
    """What calls come to use of the compute buffer, as the context fills. Reserved at the load, resident later."""
    masks: int
    """Attention masks that Ollama's engine leaves to Go's collector, from the load on."""
    vocabulary: int
    runner: int
    prompt_cache: int
    predicted_by_ollama: int
    """`size` in /api/ps, which decides what is evicted."""

    @property
    def at_load(self) -> int:
        """What is resident when the model was loaded and nothing was asked."""
        return self.weights + self.kv_cache + self.masks + self.vocabulary + self.runner

    @property
    def total(self) -> int:
        """What the process comes to hold when its contexts are full."""
        return self.at_load + self.compute + self.prompt_cache


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
    parallel: int = 1,
    kv_cache_type: str = "f16",
    prompt_cache_bytes: int = 0,
) -> Estimate:
    """What a model takes with `num_ctx` tokens for each of `parallel` requests at once (OLLAMA_NUM_PARALLEL).

    `metadata` is `model_info` of /api/show, `weights_bytes` the size of the GGUF. A `kv_cache_type` other than f16
    needs OLLAMA_FLASH_ATTENTION=1 on the server, as Ollama has it. `prompt_cache_bytes` is what LLAMA_ARG_CACHE_RAM
    allows, from Ollama 0.30 on.

    Raises UnknownArchitectureError where the architecture is not supported, ValueError for other values that cannot be.
    """
    for name, value, least in (
        ("weights_bytes", weights_bytes, 0),
        ("num_ctx", num_ctx, 1),
        ("parallel", parallel, 1),
        ("prompt_cache_bytes", prompt_cache_bytes, 0),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, expected {least} or more")
    if kv_cache_type not in _BYTES_OF_32:
        raise ValueError(f"kv_cache_type is {kv_cache_type!r}, expected one of {', '.join(KV_CACHE_TYPES)}")
    load = _load(read_shape(metadata), num_ctx, parallel, kv_cache_type)
    embedding = _embedding_bytes(load.shape, weights_bytes)
    is_doubled = load.has_ollama_engine and load.shape.is_tied
    weights = weights_bytes + (embedding if is_doubled else 0)
    kv_cache, compute = _kv_cache(load), _compute(load)
    return Estimate(
        weights=weights,
        kv_cache=kv_cache,
        compute=compute,
        masks=_masks(load),
        vocabulary=load.shape.vocabulary * _BYTES_A_TOKEN,
        runner=_OLLAMA_RUNNER if load.has_ollama_engine else _LLAMA_RUNNER,
        prompt_cache=prompt_cache_bytes,
        predicted_by_ollama=weights + kv_cache + _reserved_graph(load)
        if load.has_ollama_engine
        else _predicted_for_llama(load, weights_bytes, embedding),
    )


def largest_num_ctx(
    metadata: Mapping[str, Any], *, weights_bytes: int, fits_in: int, parallel: int = 1, kv_cache_type: str = "f16"
) -> int | None:
    """The most tokens of context with which the total is at most `fits_in` bytes, up to the trained; None: not even 1."""

    def total(num_ctx: int) -> int:
        return estimate(
            metadata, weights_bytes=weights_bytes, num_ctx=num_ctx, parallel=parallel, kv_cache_type=kv_cache_type
        ).total

    return _largest(total, fits_in, read_shape(metadata).trained_context or 2**20)


def largest_parallel(
    metadata: Mapping[str, Any], *, weights_bytes: int, fits_in: int, num_ctx: int, kv_cache_type: str = "f16"
) -> int | None:
    """The most requests at once with which the total is at most `fits_in` bytes, up to 256; None: not even 1."""

    def total(parallel: int) -> int:
        return estimate(
            metadata, weights_bytes=weights_bytes, num_ctx=num_ctx, parallel=parallel, kv_cache_type=kv_cache_type
        ).total

    return _largest(total, fits_in, 256)


def _largest(total: Callable[[int], int], fits_in: int, most: int) -> int | None:
    least, found = 1, None
    while least <= most:
        middle = (least + most) // 2
        if total(middle) <= fits_in:
            least, found = middle + 1, middle
        else:
            most = middle - 1
    return found


def _load(shape: ModelShape, num_ctx: int, parallel: int, kv_cache_type: str) -> _Load:
    """llm/server.go: the context is cut to the trained, the batch to the context; embeddings are one at a time.

    A quantised cache needs flash attention, which Ollama refuses gemma2 and heads whose keys and values differ: then
    the cache is f16, and the server's OLLAMA_FLASH_ATTENTION=1 has turned off what llama.cpp would have chosen itself.
    """
    num_ctx = min(num_ctx, shape.trained_context or num_ctx)
    batch = min(_NUM_BATCH, num_ctx)
    if shape.is_embedding:
        # Without a cache, all of the text is one batch; and a pooled model has no flash attention.
        return _Load(shape, num_ctx, num_ctx, 1, "f16", has_flash_attention=False)
    can_flash = shape.architecture != "gemma2" and shape.key == shape.value
    if kv_cache_type != "f16" and not can_flash:
        return _Load(shape, num_ctx, batch, parallel, "f16", has_flash_attention=False)
    return _Load(shape, num_ctx, batch, parallel, kv_cache_type, has_flash_attention=True)


def _cells(load: _Load, layer: int) -> int:
    """Cells of a layer's cache, over all requests.

    llama.cpp: for each request num_ctx, or with a window min(num_ctx, window + B), each padded to 256.
    Ollama's engine: parallel x num_ctx, or with a window parallel x window + B (one more a request, where there are
    several), padded to 256 as a whole.
    """
    shape, parallel = load.shape, load.parallel
    if shape.is_embedding:
        return 0
    if not load.has_ollama_engine:
        context = _padded(load.num_ctx)
        return parallel * (context if shape.is_global(layer) else _padded(min(context, shape.window + load.batch)))
    window = shape.window + (1 if parallel > 1 else 0)
    if shape.is_global(layer) or window >= load.num_ctx:
        return _padded(parallel * load.num_ctx)
    return _padded(parallel * window + load.batch)


def _kv_cache(load: _Load) -> int:
    """Per layer: cells x KV heads x (key_length + value_length) x bytes of an element."""
    shape = load.shape
    elements = sum(_cells(load, layer) * heads for layer, heads in enumerate(shape.kv_heads))
    return elements * (shape.key + shape.value) * _BYTES_OF_32[load.kv_cache_type] // 32


def _mask_cells(load: _Load) -> int:
    """Cells that one token's masks cover: one mask of the whole context, and one of the window where there is one.

    llama.cpp lays the requests side by side, Ollama's engine end to end.
    """
    if load.shape.is_embedding:
        return 0
    cells = {_cells(load, layer) for layer in range(load.shape.layers)}
    if load.shape.window and len(cells) == 1:
        cells = cells | {0}
    both = sum(cells) + (max(cells) if 0 in cells else 0)
    return both if load.has_ollama_engine else both // load.parallel


def _masks(load: _Load) -> int:
    """buildMask in kvcache/causal.go makes a slice of C x B float32 for each graph; Go's heap has two (measured)."""
    return 2 * 4 * _mask_cells(load) * load.batch if load.has_ollama_engine else 0


def _compute(load: _Load) -> int:
    """What is touched of the compute buffer when a full context is read in batches of B.

    The masks, in f16 and, in llama.cpp, in float32 before; the activations of a feed-forward block, which has the most
    at once: E for what is added back, 3 F for gate, up and their product, 4 bytes each; and without flash attention
    the scores of C x B x H. Ollama's engine keeps 2 E. Logits are of the last token only.
    """
    shape = load.shape
    if shape.is_embedding:
        return _reserved_graph(load)
    kept = (2 if load.has_ollama_engine else 1) * shape.width
    activations = 4 * load.batch * (kept + 3 * shape.inner)
    masks = (2 if load.has_ollama_engine else 6) * _mask_cells(load) * load.batch
    scores = 0 if load.has_flash_attention else 4 * _padded(load.num_ctx) * load.batch * shape.heads
    return activations + masks + scores


def _reserved_graph(load: _Load) -> int:
    """What Ollama's engine reserves for its graph."""
    shape = load.shape
    if not shape.is_embedding:
        return _compute(load)
    scores = 4 * load.num_ctx**2 * shape.heads
    rows = 5 if shape.architecture == "bert" else 7
    return scores + 4 * load.num_ctx * rows * shape.width


def _predicted_for_llama(load: _Load, weights: int, embedding: int) -> int:
    """GraphSize: every layer with the whole context, no window; neither the graph nor the input's embedding counts."""
    shape = load.shape
    elements = load.num_ctx * load.parallel * (shape.key + shape.value) * sum(shape.kv_heads)
    counted = weights if shape.is_tied else weights - embedding
    return counted + elements * _PREDICTED_BYTES_OF_32[load.kv_cache_type] // 32


def _embedding_bytes(shape: ModelShape, weights_bytes: int) -> int:
    """The embedding's share of the weights: it is taken to be quantised as the average of the model is."""
    if shape.parameters == 0:
        return min(weights_bytes, 2 * shape.vocabulary * shape.width)
    return weights_bytes * min(shape.parameters, shape.vocabulary * shape.width) // shape.parameters


def _padded(cells: int) -> int:
    return -(-cells // _CELLS_PADDED_TO) * _CELLS_PADDED_TO
