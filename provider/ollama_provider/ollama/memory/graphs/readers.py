"""What architectures read of the metadata beside the common keys (`load_arch_hparams` in src/models, b10970)."""

from __future__ import annotations

from collections.abc import Callable

from ollama_provider.ollama.memory.graphs.recurrent import ssm_state
from ollama_provider.ollama.memory.hparams import Hparams, whole

Reader = Callable[[Hparams], None]


def window(period: int, *, default: int | None = 0, fixed: int = 0, dense_first: bool = False) -> Reader:
    """`default` where the key of the window is missing, None: it must be there; `fixed` whatever it says but 0."""

    def read(h: Hparams) -> None:
        window = h.number("attention.sliding_window", default)
        h.set_window(fixed if fixed and window else window, period, dense_first=dense_first)

    return read


def listed_window(period: int = 0, *, dense_first: bool = False) -> Reader:
    """The pattern may be a list: then it says which layers have a window."""

    def read(h: Hparams) -> None:
        h.set_window(h.number("attention.sliding_window", None), period or 4, dense_first=dense_first)
        if (pattern := h.flags("attention.sliding_window_pattern")) is not None:
            h.is_window = pattern

    return read


def rope_in_windows(read: Reader) -> Reader:
    def both(h: Hparams) -> None:
        read(h)
        h.has_rope = h.is_window

    return both


def llama4(h: Hparams) -> None:
    if h.number("attention.sliding_window", 1):
        h.set_window(8192, 4)
        h.has_rope = h.where(lambda layer: (layer + 1) % 4 != 0)


def cohere2(h: Hparams) -> None:
    window(4, default=None)(h)
    h.has_rope = h.is_window


def no_rope_in_fourth(h: Hparams) -> None:
    h.has_rope = h.where(lambda layer: (layer + 1) % 4 != 0)


def smallthinker(h: Hparams) -> None:
    window(4, fixed=4096, dense_first=True)(h)
    if h.window:
        h.has_rope = h.where(lambda layer: layer % 4 != 0)


def cohere2moe(h: Hparams) -> None:
    listed_window(4, dense_first=True)(h)
    lead = h.number("leading_dense_block_count", 0)
    h.has_rope = tuple(is_window or layer < lead for layer, is_window in enumerate(h.is_window))


def gpt_oss(h: Hparams) -> None:
    window(2, default=None)(h)


def granite(h: Hparams) -> None:
    h.has_rope = (bool(h.get("rope.scaling.finetuned", True)),) * h.layers_all


def exaone4(h: Hparams) -> None:
    if h.layers == 64:
        h.set_window(h.number("attention.sliding_window", 4096), 4)


def mellum(h: Hparams) -> None:
    window(4)(h)
    pattern = h.flags("attention.sliding_window_pattern")
    if h.window and pattern:
        h.is_window = pattern


def sections(h: Hparams) -> None:
    """Positions of text and of pictures: four each."""
    h.positions_each = 4


def maybe_sections(h: Hparams) -> None:
    found = h.get("rope.dimension_sections")
    if isinstance(found, (list, tuple)) and len(found) > 1:
        name = f"{h.architecture}.rope.dimension_sections"
        if all(whole(name, one) for one in found[:2]):
            h.positions_each = 4


def deep_stack(h: Hparams) -> None:
    h.positions_each = 4
    h.deep_stack = h.number("n_deepstack_layers", 0)


def no_heads_recur(h: Hparams) -> None:
    """Where there are no KV heads, there is a state."""
    h.set_recurrent(h.where(lambda layer: layer < h.layers and h.kv_heads[layer] == 0))


def granite_hybrid(h: Hparams) -> None:
    no_heads_recur(h)
    granite(h)


def nemotron_h(h: Hparams) -> None:
    recurs = h.where(lambda layer: layer < h.layers and h.kv_heads[layer] == 0 and h.inner[layer] == 0)
    h.set_recurrent(recurs)
    h.has_cache = h.where(lambda layer: not recurs[layer] and h.inner[layer] == 0)


def all_recur(h: Hparams) -> None:
    h.set_recurrent((True,) * h.layers_all)


def every_recurs(h: Hparams) -> None:
    """Attention in every fourth layer, or as the metadata say."""
    listed = h.flags("attention.recurrent_layers")
    every = h.positive("full_attention_interval", 4)
    h.set_recurrent(listed or h.where(lambda layer: layer < h.layers and (layer + 1) % every != 0))


def qwen35(h: Hparams) -> None:
    every_recurs(h)
    sections(h)


def lfm2(h: Hparams) -> None:
    no_heads_recur(h)
    if window := h.number("attention.sliding_window", 0):
        h.window, h.is_window = window, h.where(lambda layer: not h.is_recurrent[layer])


def baichuan(h: Hparams) -> None:
    """The 7B alone, known by its layers, has positions."""
    h.has_rope = (h.layers == 32,) * h.layers_all


def qwen(h: Hparams) -> None:
    """Its width counts both matrices."""
    h.inner = tuple(inner // 2 for inner in h.inner)


def latent(h: Hparams) -> None:
    h.is_latent = h.number("attention.key_length_mla", 0) > 0
    h.weighs_positions = h.real("attention.temperature_scale") != 0


def mistral3(h: Hparams) -> None:
    h.weighs_positions = h.real("attention.temperature_scale") != 0


def gemma3n(h: Hparams) -> None:
    window(5, default=None)(h)
    h.has_cache = h.where(lambda layer: layer < 20)


def gemma4(h: Hparams) -> None:
    window, pattern = h.number("attention.sliding_window"), h.flags("attention.sliding_window_pattern")
    if pattern is None:
        raise ValueError("gemma4.attention.sliding_window_pattern is missing in the model's metadata, expected a list")
    h.window, h.is_window = window, pattern
    h.set_lengths(h.positive("attention.key_length_swa"), h.positive("attention.value_length_swa"))
    own = h.layers_all - h.number("attention.shared_kv_layers", 0)
    h.has_cache = h.where(lambda layer: layer < own)


def ssm_states(h: Hparams) -> int:
    return sum(h.is_recurrent) * ssm_state(h)


def short_states(h: Hparams) -> int:
    return sum(h.is_recurrent) * h.width * (h.positive("shortconv.l_cache") - 1)
