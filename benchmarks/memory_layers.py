"""What the metadata of a model's layers are drawn from: experts, recurrent layers, and what one architecture has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.memory_drawing import Drawn, Feature, named


def _experts(drawn: Drawn) -> None:
    count = drawn.any_of(*drawn.bounds.experts)
    drawn.keys["expert_count"] = count
    drawn.keys["expert_used_count"] = drawn.any_of(*(number for number in (1, 2, 4, 6, 8) if number <= count))
    drawn.inner = 64 * drawn.random.randint(1, min(32, drawn.bounds.inner))


def _experts_maybe(drawn: Drawn) -> None:
    if drawn.often():
        _experts(drawn)


def _own_inner(drawn: Drawn) -> None:
    drawn.keys["expert_feed_forward_length"] = 64 * drawn.random.randint(1, drawn.bounds.expert_inner)


def _shared_inner(drawn: Drawn) -> None:
    drawn.keys["expert_shared_feed_forward_length"] = 64 * drawn.random.randint(1, drawn.bounds.expert_inner)


def _shared_inner_where_experts(drawn: Drawn) -> None:
    if "expert_count" in drawn.keys and drawn.often():
        _shared_inner(drawn)


def _shared(drawn: Drawn) -> None:
    drawn.keys["expert_shared_count"] = drawn.any_of(1, 2)


def _dense_first(drawn: Drawn) -> None:
    drawn.keys["leading_dense_block_count"] = drawn.random.randint(0, min(3, drawn.layers - 1))


def _one_dense_first(drawn: Drawn) -> None:
    drawn.keys["leading_dense_block_count"] = min(1, drawn.layers - 1)


def _gating(drawn: Drawn) -> None:
    drawn.keys["expert_gating_func"] = 2


def _weights_norm(drawn: Drawn) -> None:
    drawn.keys["expert_weights_norm"] = True
    drawn.keys["expert_weights_scale"] = 1.5


def _ssm(drawn: Drawn, kind: str) -> None:
    state = drawn.any_of(16, 32, 64, 128, 256)
    if kind == "1":
        inner = 2 * drawn.width
        rank, groups = max(1, drawn.width // 16), 0
    else:
        head = drawn.any_of(32, 64, 128)
        groups = drawn.any_of(1, 2, 4, 8)
        rank = groups * drawn.random.randint(1, 16)
        inner = head * rank
    drawn.keys |= {
        "ssm.conv_kernel": 4,
        "ssm.inner_size": inner,
        "ssm.state_size": state,
        "ssm.time_step_rank": rank,
    }
    if kind != "1":
        drawn.keys["ssm.group_count"] = groups if kind == "2" else 0


def _twice_as_wide(drawn: Drawn) -> None:
    """granitehybrid: the inner width of a recurrent layer is the model's, twice."""
    heads = drawn.any_of(1, 2, 4, 8, 16, 32)
    groups = drawn.integer("ssm.group_count")
    drawn.heads = groups * heads
    drawn.width = drawn.heads * drawn.any_of(32, 64, 128)
    drawn.keys |= {"ssm.inner_size": 2 * drawn.width, "ssm.time_step_rank": drawn.heads}
    drawn.keys["attention.head_count_kv"] = drawn.any_of(1, drawn.heads)
    drawn.keys["rope.dimension_count"] = drawn.width // drawn.heads


def _delta(drawn: Drawn) -> None:
    """Gated delta nets: the state is a head's keys by a head's values; the value heads are a multiple of the keys'."""
    head, keys = drawn.any_of(64, 128), drawn.any_of(2, 4, 8, 16)
    values = keys * drawn.any_of(1, 2, 4)
    drawn.keys |= {
        "ssm.conv_kernel": 4,
        "ssm.inner_size": head * values,
        "ssm.state_size": head,
        "ssm.time_step_rank": values,
        "ssm.group_count": keys,
        "full_attention_interval": drawn.any_of(2, 4),
    }


def _recurrent_list(drawn: Drawn) -> None:
    """No KV heads where a layer is recurrent: attention in every third, or in more or fewer of them."""
    kv_heads = drawn.integer("attention.head_count_kv")
    period = drawn.any_of(2, 3, 4, 8)
    drawn.keys["attention.head_count_kv"] = [kv_heads * (layer % period == period - 1) for layer in range(drawn.layers)]


def _three_kinds(drawn: Drawn) -> None:
    """nemotron_h: a layer is either recurrent, or attention, or a feed-forward net."""
    kv_heads = drawn.integer("attention.head_count_kv")
    kinds = [("recurrent", "net", "recurrent", "attention", "net")[layer % 5] for layer in range(drawn.layers)]
    drawn.keys["attention.head_count_kv"] = [kv_heads * (kind == "attention") for kind in kinds]
    drawn.keys["feed_forward_length"] = [drawn.inner * (kind == "net") for kind in kinds]


def _shortconv(drawn: Drawn) -> None:
    drawn.keys["shortconv.l_cache"] = drawn.any_of(3, 4)


def _no_attention(drawn: Drawn) -> None:
    drawn.heads = 0
    drawn.inner = 0
    drawn.keys.pop("rope.freq_base", None)


def _wkv(drawn: Drawn) -> None:
    head = drawn.any_of(64, 128)
    drawn.width = head * drawn.any_of(2, 4, 8, 16, 32)
    drawn.heads = 0
    drawn.inner = 4 * drawn.width
    drawn.keys["wkv.head_size"] = head
    drawn.keys.pop("rope.freq_base", None)


def _one_shift(drawn: Drawn) -> None:
    drawn.keys["token_shift_count"] = 1


def _rwkv6(drawn: Drawn) -> None:
    drawn.keys |= {"time_mix_extra_dim": drawn.any_of(32, 64), "time_decay_extra_dim": drawn.any_of(64, 128)}


def _rwkv7(drawn: Drawn) -> None:
    for part in ("decay", "iclr", "value_residual_mix", "gate"):
        drawn.keys[f"attention.{part}_lora_rank"] = drawn.any_of(32, 64, 128)


def _interleave(drawn: Drawn) -> None:
    drawn.keys["interleave_moe_layer_step"] = drawn.any_of(1, 2)


def _kda(drawn: Drawn) -> None:
    drawn.keys |= {"ssm.conv_kernel": 4, "kda.head_dim": drawn.any_of(64, 128)}


def _hybrid_heads(drawn: Drawn) -> None:
    period = drawn.any_of(2, 4)
    drawn.layers = max(2, drawn.layers)
    attends = [layer % period == period - 1 for layer in range(drawn.layers)]
    drawn.keys["attention.head_count_kv"] = [int(one) for one in attends]


def _chunked_experts(drawn: Drawn) -> None:
    drawn.keys |= {"expert_chunk_feed_forward_length": 64, "expert_group_scale": 0.05, "experts_per_group": 2}


def _every(drawn: Drawn) -> None:
    drawn.keys["moe_every_n_layers"] = 2


def _swiglu_clamp(drawn: Drawn) -> None:
    drawn.keys["swiglu_clamp_exp"] = 7.0


FEATURES: Final[Mapping[str, Feature]] = named(globals())
WITH_ARGUMENT: Final[Mapping[str, Callable[[Drawn, str], None]]] = {"ssm": _ssm}
