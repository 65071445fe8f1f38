"""Which experts a layer has, by the metadata (src/models, b10970)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ollama_provider.ollama.memory.graphs.experts import Experts
from ollama_provider.ollama.memory.hparams import Hparams

Mixture = Callable[[Hparams, int], Experts | None]


def experts(own: str = "expert_feed_forward_length", *, divided: bool = False, **options: object) -> Mixture:
    """In the layers after the leading dense ones, where the model has experts. `divided`: their width, if not told."""

    def mixture(h: Hparams, layer: int) -> Experts | None:
        step = h.number("interleave_moe_layer_step", 1) or 1
        is_dense = layer < h.number("leading_dense_block_count", 0) or (layer + 1) % step != 0
        if not h.experts or not h.has(f"blk.{layer}.ffn_gate_inp.weight", not is_dense):
            return None
        inner = h.by_layer(own, 0)[layer] or h.inner[layer] // (max(1, h.used[layer]) if divided else 1)
        return _mixture(h, layer, h.rows(f"blk.{layer}.ffn_up_exps.weight", inner), options)

    return mixture


_GATINGS: Final = {0: "", 1: "softmax", 2: "sigmoid", 3: "chosen", 4: "softplus"}


def _mixture(h: Hparams, layer: int, inner: int, options: Mapping[str, object]) -> Experts:
    """`shared`: "count" times the expert's width, "length" a key of its own or the dense width, or as one expert.

    `gating_key`: what the gating is where its key is missing. `norms_key`: whether weights are normed is a key.
    """
    given = dict(options)
    length, count = h.number("expert_shared_feed_forward_length", 0), h.number("expert_shared_count", 0)
    shared = given.pop("shared", "")
    if shared:
        widths = {
            "count": inner * count,
            "key": length,
            "key or dense": length or h.inner[layer],
            "key or one": length or inner,
            "key or count": length or inner * count,
            "key times count": (length or inner) * count,
            "one": inner,
        }
        given["shared"] = widths[str(shared)]
    if gating := given.pop("gating_key", ""):
        given["gating"] = _GATINGS.get(h.number("expert_gating_func", 0), "") or gating
    if given.pop("norms_key", False):
        given["norms"] = bool(h.get("expert_weights_norm", False))
    if given.get("has_bias"):
        given["has_bias"] = h.has(f"blk.{layer}.exp_probs_b.bias", True) or h.has(f"blk.{layer}.exp_probs_b", True)
    return Experts(inner=inner, scales=h.real("expert_weights_scale") not in (0.0, 1.0), **given)  # type: ignore[arg-type]


def gemma4_experts(h: Hparams, layer: int) -> Experts | None:
    if not h.experts or not h.has(f"blk.{layer}.ffn_gate_inp.weight", True):
        return None
    return Experts(
        h.by_layer("expert_feed_forward_length", 0)[layer],
        is_joint=h.has(f"blk.{layer}.ffn_gate_up_exps.weight", True),
    )


def every_second_experts(h: Hparams, layer: int) -> Experts | None:
    every = h.number("moe_every_n_layers", 0)
    if not every or layer % every != 1:
        return None
    return Experts(h.inner[layer], kind="plain", norms=False, scales=h.real("expert_weights_scale") not in (0.0, 1.0))
