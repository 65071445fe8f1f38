"""What llama-server reserves when it loads a model: caches and the compute buffer (llama-context.cpp, b10970)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ollama_provider.ollama.memory.graphs.architectures import ARCHITECTURES, Architecture
from ollama_provider.ollama.memory.graphs.blocks import Blocks, Reserve
from ollama_provider.ollama.memory.hparams import Hparams
from ollama_provider.ollama.memory.parts import UnknownArchitectureError
from ollama_provider.ollama.memory.weights import bytes_of_32_factors
from ollama_provider.ollama.settings import kv_cache_types
from ollama_provider.ollama.settings.kv_cache_types import UNQUANTISED

# Without f32, with which the compute buffer is another one.
BYTES_OF_32: Final = {name: size for name, size in kv_cache_types.BYTES_OF_32.items() if name != "f32"}
_PADDED_TO: Final = 256  # GGML_PAD in llama-context.cpp and llama-kv-cache-iswa.cpp
_LONGEST_PERIOD: Final = 16
# What takes an estimate about a second, several times what the largest model has.
_NODES_A_LAYER: Final = 16
_MOST_NODES: Final = 12_288


@dataclass(frozen=True)
class Load:
    """How llama-server is started. `num_ctx` is one request's; `outputs` None: as many as there are tokens."""

    num_ctx: int
    requests: int
    batch: int
    kv_cache_type: str
    has_flash_attention: bool
    outputs: int | None = None
    embeds: bool = False

    @property
    def shown(self) -> int:
        """Outputs that the buffer of logits is for."""
        return self.batch if self.outputs is None else self.outputs


@dataclass(frozen=True)
class Buffers:
    """Bytes."""

    kv_cache: int
    window_cache: int
    """What of it is of layers with a window."""
    listed_kv_cache: int
    """What Ollama reads of it in the log: of two lines of one name the last, that of the windows."""
    recurrent: int
    compute: int
    work: int
    """What the CPU makes of factors before it multiplies them (`ggml_graph_plan`): not reserved, and kept."""


def known(hparams: Hparams) -> Architecture:
    """Raises UnknownArchitectureError."""
    found = ARCHITECTURES.get(hparams.architecture)
    if found is None:
        raise UnknownArchitectureError(f"the memory of the architecture {hparams.architecture!r} is not known")
    return found


def read(hparams: Hparams) -> None:
    """What the architecture reads of the metadata. Raises UnknownArchitectureError, ValueError."""
    known(hparams).read(hparams)


def buffers(hparams: Hparams, load: Load) -> Buffers:
    """Of a model that was `read`. Raises UnknownArchitectureError."""
    architecture = known(hparams)
    reserve = reserve_of(hparams, load, architecture)
    whole, of_windows = cache_elements(hparams, reserve) if architecture.has_cache else (0, 0)
    blocks = graph(hparams, reserve, architecture)
    kv_cache, window_cache = (
        count * BYTES_OF_32[load.kv_cache_type] // 32 for count in (whole + of_windows, of_windows)
    )
    return Buffers(
        kv_cache=kv_cache,
        window_cache=window_cache,
        listed_kv_cache=window_cache or kv_cache,
        recurrent=4 * reserve.requests * architecture.state(hparams),
        compute=blocks.reserved(),
        work=max(blocks.factors * bytes_of_32_factors(hparams) // 32, blocks.scratch),
    )


def reserve_of(hparams: Hparams, load: Load, architecture: Architecture) -> Reserve:
    asked = load.num_ctx * load.requests
    cells = _padded(_padded(asked) // load.requests)
    batch = min(asked, load.batch) if architecture.is_causal else load.batch
    tokens = min(cells * load.requests, batch)
    return Reserve(
        tokens=-(-tokens // load.requests) * load.requests,
        requests=load.requests,
        outputs=tokens if load.outputs is None else min(tokens, load.outputs),
        cells=cells,
        window_cells=_padded(min(cells, hparams.window + batch)),
        has_flash_attention=load.has_flash_attention and architecture.has_flash_attention,
        is_quantised=load.kv_cache_type not in UNQUANTISED,
        embeds=load.embeds,
    )


def cache_elements(h: Hparams, reserve: Reserve) -> tuple[int, int]:
    """Of keys and values over all requests: of layers that see everything, and of those with a window.

    Without flash attention, values have the most of any layer."""
    values = [value * count for value, count in zip(h.value, h.kv_heads, strict=True)]
    if not reserve.has_flash_attention:
        values = [max(values)] * len(values)
    found = {False: 0, True: 0}
    for layer, (key, count) in enumerate(zip(h.key, h.kv_heads, strict=True)):
        if h.has_cache[layer] and layer < h.layers:
            found[h.is_window[layer]] += key * count + (0 if h.is_latent else values[layer])
    return found[False] * reserve.cells * reserve.requests, found[True] * reserve.window_cells * reserve.requests


def graph(hparams: Hparams, reserve: Reserve, architecture: Architecture) -> Blocks:
    """With the logits of all tokens, as the dry run has it, every layer counts: they find a free place, or do not."""
    layers = list(range(hparams.layers))
    if reserve.outputs != reserve.tokens:
        layers = representative([architecture.kind_of(hparams, layer) for layer in layers])
    if (nodes := sum(_NODES_A_LAYER + hparams.used[layer] for layer in layers)) > _MOST_NODES:
        name = hparams.architecture
        raise ValueError(
            f"{name}.block_count is {hparams.layers_all} in the model's metadata, and the graph of {len(layers)} layers"
            f" that differ takes about {nodes} nodes, expected up to {_MOST_NODES}"
        )
    return architecture.build(hparams, reserve, layers)


def representative(kinds: list[object]) -> list[int]:
    """Some of the layers, in their order, of what comes again and again: at least six, or a period four times."""
    found: list[int] = []
    at, count = 0, len(kinds)
    while at < count:
        period, times = 1, 1
        for length in range(1, min(_LONGEST_PERIOD, (count - at) // 2) + 1):
            block = kinds[at : at + length]
            repeated = 1
            while kinds[at + repeated * length : at + (repeated + 1) * length] == block:
                repeated += 1
            if repeated > 1 and repeated * length > period * times:
                period, times = length, repeated
        kept = _kept(times, 6 if period == 1 else 4)
        found += range(at, at + kept * period)
        at += period * times
    return found


def _kept(times: int, least: int) -> int:
    """As odd or even as all are: free blocks take turns from one layer to the next."""
    return times if times <= least else least + times % 2


def _padded(cells: int) -> int:
    return -(-cells // _PADDED_TO) * _PADDED_TO
