"""What the metadata of each architecture of llama.cpp are made of, drawn at random: `ARCHITECTURES`.

An architecture is a line of features; a feature is a function that adds its keys to what was drawn so far. Which keys
an architecture reads is in llama.cpp's src/models, their names in src/llama-arch.cpp (b10970). Widths are in elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

Value = int | float | bool | str | list[int] | list[bool] | list[float] | list[str]


@dataclass(frozen=True)
class Bounds:
    """The most that is drawn: blocks, widths in steps of 64, and the choices of the others."""

    layers: int = 40
    own_width: int = 80
    inner: int = 256
    expert_inner: int = 24
    experts: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    heads: tuple[int, ...] = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 64)
    lengths: tuple[int, ...] = (32, 64, 64, 80, 96, 128, 128, 256)
    contexts: tuple[int, ...] = (2048, 8192, 32768, 131072)
    vocabularies: tuple[int, ...] = (1000, 32000, 50257, 100352, 151936, 262144)


ALL_SIZES: Final = Bounds()
# Small enough to be loaded, and for a context to be filled in seconds.
SMALL: Final = Bounds(
    layers=16,
    own_width=24,
    inner=64,
    expert_inner=16,
    experts=(4, 8, 16),
    heads=(1, 2, 4, 6, 8, 12, 16),
    lengths=(32, 64, 64, 96, 128),
    contexts=(2048, 8192),
    vocabularies=(1000, 32000, 50257, 100352),
)


@dataclass
class Drawn:
    """What is drawn first, and the keys that features add: without the architecture's name before them."""

    random: Random
    bounds: Bounds
    width: int
    heads: int
    layers: int
    inner: int
    keys: dict[str, Value] = field(default_factory=dict)

    @property
    def head(self) -> int:
        key = self.keys.get("attention.key_length", self.width // self.heads)
        assert isinstance(key, int)
        return key

    def any_of(self, *values: int) -> int:
        return self.random.choice(values)

    def often(self, share: float = 0.5) -> bool:
        return self.random.random() < share

    def integer(self, key: str) -> int:
        value = self.keys[key]
        assert isinstance(value, int)
        return value


Feature = Callable[[Drawn], None]
_UNPREFIXED = ("tokenizer.", "xielu.")


def draw(architecture: str, random: Random, bounds: Bounds = ALL_SIZES) -> dict[str, Value]:
    """The metadata of one model, with the architecture's name before each key. Raises KeyError for one not known."""
    features = ARCHITECTURES[architecture]
    head = random.choice(bounds.lengths)
    heads = random.choice(bounds.heads)
    layers, inner = random.randint(1, bounds.layers), 64 * random.randint(1, bounds.inner)
    drawn = Drawn(random, bounds, head * heads, heads, layers, inner)
    drawn.keys["context_length"] = random.choice(bounds.contexts)
    drawn.keys["vocab_size"] = random.choice(bounds.vocabularies)
    drawn.keys["rope.freq_base"] = 10000.0
    for feature in features.split():
        name, _, argument = feature.partition(":")
        _FEATURES[name](drawn) if not argument else _WITH_ARGUMENT[name](drawn, argument)
    keys = {
        "embedding_length": drawn.width,
        "block_count": drawn.layers,
        "feed_forward_length": drawn.inner,
        "attention.head_count": drawn.heads,
        **drawn.keys,
    }
    return {key if key.startswith(_UNPREFIXED) else f"{architecture}.{key}": value for key, value in keys.items()}


def _rms(drawn: Drawn) -> None:
    drawn.keys["attention.layer_norm_rms_epsilon"] = 1e-5


def _ln(drawn: Drawn) -> None:
    drawn.keys["attention.layer_norm_epsilon"] = 1e-5


def _gqa(drawn: Drawn) -> None:
    divisors = [number for number in (1, 2, 4, 8, drawn.heads) if drawn.heads % number == 0]
    drawn.keys["attention.head_count_kv"] = drawn.random.choice(divisors)


def _mha(drawn: Drawn) -> None:
    drawn.keys["attention.head_count_kv"] = drawn.heads


def _key(drawn: Drawn) -> None:
    """Heads of a length of their own, in half of the models, and a width that is none of theirs."""
    if drawn.often():
        length = drawn.any_of(64, 96, 128, 192, 256)
        drawn.keys["attention.key_length"] = drawn.keys["attention.value_length"] = length
        drawn.width = 64 * drawn.random.randint(1, drawn.bounds.own_width)


def _key_always(drawn: Drawn) -> None:
    length = drawn.any_of(64, 128, 256)
    drawn.keys["attention.key_length"] = drawn.keys["attention.value_length"] = length


def _rope(drawn: Drawn) -> None:
    drawn.keys["rope.dimension_count"] = drawn.head


def _rope_half(drawn: Drawn) -> None:
    drawn.keys["rope.dimension_count"] = drawn.head // 2


def _sections(drawn: Drawn) -> None:
    quarter = drawn.head // 4
    drawn.keys["rope.dimension_sections"] = [quarter // 2, quarter // 4, quarter // 4, 0]


def _window(drawn: Drawn) -> None:
    drawn.keys["attention.sliding_window"] = drawn.any_of(128, 512, 1024, 2048, 4096)


def _window_maybe(drawn: Drawn) -> None:
    if drawn.often():
        _window(drawn)


def _pattern(drawn: Drawn, least: str) -> None:
    drawn.keys["attention.sliding_window_pattern"] = drawn.random.randint(int(least), 6)


def _pattern_list(drawn: Drawn) -> None:
    period = drawn.random.randint(2, 6)
    drawn.keys["attention.sliding_window_pattern"] = [
        bool(layer % period < period - 1) for layer in range(drawn.layers)
    ]


def _pattern_numbers(drawn: Drawn) -> None:
    _pattern_list(drawn)
    pattern = drawn.keys["attention.sliding_window_pattern"]
    assert isinstance(pattern, list)
    drawn.keys["attention.sliding_window_pattern"] = [int(one) for one in pattern]


def _layers(drawn: Drawn, span: str) -> None:
    least, most = map(int, span.split("-"))
    drawn.layers = drawn.random.randint(least, max(least, min(most, drawn.bounds.layers)))


def _layers_by(drawn: Drawn, period: str) -> None:
    drawn.layers = int(period) * drawn.random.randint(1, drawn.bounds.layers // int(period))


def _multiple(drawn: Drawn, of: str) -> None:
    """Heads that are a multiple: a width that can be cut in parts."""
    drawn.heads = int(of) * max(1, drawn.heads // int(of))
    drawn.width = drawn.heads * max(32, drawn.width // drawn.heads)


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


def _mla(drawn: Drawn) -> None:
    """Keys and values behind one another, as the converter writes them; the heads' own lengths are *_mla."""
    low, rope = drawn.any_of(256, 512), drawn.any_of(32, 64)
    plain, value = drawn.any_of(64, 128, 192), drawn.any_of(64, 128, 256)
    drawn.keys |= {
        "attention.head_count_kv": 1,
        "attention.kv_lora_rank": low,
        "attention.key_length": low + rope,
        "attention.value_length": low,
        "attention.key_length_mla": plain + rope,
        "attention.value_length_mla": value,
        "rope.dimension_count": rope,
    }
    drawn.width = 64 * drawn.random.randint(4, drawn.bounds.own_width)


def _q_lora(drawn: Drawn) -> None:
    drawn.keys["attention.q_lora_rank"] = drawn.any_of(256, 512, 1536)


def _no_lite(drawn: Drawn) -> None:
    """26, 27 and 48 layers are taken for deepseek2's lite models, which have no low rank for queries."""
    while drawn.layers in (26, 27, 47, 48):
        drawn.layers -= 3


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


def _embeds(drawn: Drawn) -> None:
    drawn.keys["attention.causal"] = False
    drawn.keys["pooling_type"] = drawn.any_of(1, 2)
    drawn.keys["context_length"] = drawn.any_of(512, 2048, 8192)
    drawn.keys["tokenizer.ggml.token_type_count"] = 2


def _classes(drawn: Drawn) -> None:
    drawn.keys["attention.causal"] = False
    drawn.keys["pooling_type"] = 1


def _scales(drawn: Drawn) -> None:
    drawn.keys |= {"logit_scale": 8.0, "residual_scale": 0.22, "embedding_scale": 12.0, "attention.scale": 0.0156}


def _logit_scale(drawn: Drawn) -> None:
    drawn.keys["logit_scale"] = 0.25


def _softcaps(drawn: Drawn) -> None:
    drawn.keys |= {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}


def _final_softcap(drawn: Drawn) -> None:
    drawn.keys["final_logit_softcapping"] = 30.0


def _interleave(drawn: Drawn) -> None:
    drawn.keys["interleave_moe_layer_step"] = drawn.any_of(1, 2)


def _alibi(drawn: Drawn) -> None:
    drawn.keys["attention.max_alibi_bias"] = 8.0


def _clamp(drawn: Drawn) -> None:
    drawn.keys["attention.clamp_kqv"] = 8.0


def _per_layer(drawn: Drawn) -> None:
    """gemma4: lengths of the window's heads, an input a layer in half of the models, and layers that share a cache."""
    length = drawn.any_of(64, 128, 256)
    drawn.keys |= {"attention.key_length_swa": length, "attention.value_length_swa": length}
    drawn.keys["embedding_length_per_layer_input"] = drawn.any_of(0, 256)
    drawn.keys["attention.shared_kv_layers"] = drawn.any_of(0, max(0, drawn.layers - 6) // 2)
    pattern = [layer % 6 != 5 for layer in range(drawn.layers)]
    drawn.keys["attention.sliding_window_pattern"] = pattern
    drawn.keys["rope.freq_base_swa"] = 10000.0


def _norm_groups(drawn: Drawn) -> None:
    drawn.keys["attention.group_norm_groups"] = 8
    drawn.keys["attention.group_norm_epsilon"] = 1e-5


def _buckets(drawn: Drawn) -> None:
    drawn.keys["attention.relative_buckets_count"] = 32


def _xielu(drawn: Drawn) -> None:
    for key in ("alpha_n", "alpha_p", "beta", "eps"):
        drawn.keys[f"xielu.{key}"] = [1.0] * drawn.layers


def _indexer(drawn: Drawn) -> None:
    drawn.keys |= {"attention.indexer.head_count": 64, "attention.indexer.key_length": 128}
    drawn.keys["attention.indexer.top_k"] = drawn.any_of(512, 2048)


def _kda(drawn: Drawn) -> None:
    drawn.keys |= {"ssm.conv_kernel": 4, "kda.head_dim": drawn.any_of(64, 128)}


def _hybrid_heads(drawn: Drawn) -> None:
    period = drawn.any_of(2, 4)
    drawn.layers = max(2, drawn.layers)
    attends = [layer % period == period - 1 for layer in range(drawn.layers)]
    drawn.keys["attention.head_count_kv"] = [int(one) for one in attends]


def _residual_parallel(drawn: Drawn) -> None:
    drawn.keys["use_parallel_residual"] = drawn.often()


def _chunked_experts(drawn: Drawn) -> None:
    drawn.keys |= {"expert_chunk_feed_forward_length": 64, "expert_group_scale": 0.05, "experts_per_group": 2}


def _every(drawn: Drawn) -> None:
    drawn.keys["moe_every_n_layers"] = 2


def _window_rope(drawn: Drawn) -> None:
    drawn.keys["rope.freq_base_swa"] = 10000.0


def _residual_scale(drawn: Drawn) -> None:
    drawn.keys["residual_scale"] = 3.5565588200778455


def _interval(drawn: Drawn) -> None:
    drawn.keys["full_attention_interval"] = drawn.any_of(2, 4, 8)


def _yarn(drawn: Drawn) -> None:
    drawn.keys["rope.scaling.yarn_log_multiplier"] = 0.1


def _swiglu_clamp(drawn: Drawn) -> None:
    drawn.keys["swiglu_clamp_exp"] = 7.0


def _minicpm3(drawn: Drawn) -> None:
    """A low rank for keys, and yet a whole cache: keys are the rope's part and the plain one."""
    rope, plain = 32, 64
    drawn.keys |= {
        "attention.q_lora_rank": drawn.any_of(256, 768),
        "attention.kv_lora_rank": drawn.any_of(256, 512),
        "attention.key_length": rope + plain,
        "attention.head_count_kv": drawn.heads,
        "rope.dimension_count": rope,
    }


_FEATURES: Final[Mapping[str, Feature]] = {
    name.removeprefix("_"): function
    for name, function in list(globals().items())
    if name.startswith("_") and callable(function) and name.islower() and not name.startswith("__")
}
_WITH_ARGUMENT: Final[Mapping[str, Callable[[Drawn, str], None]]] = {
    "layers": _layers,
    "layers_by": _layers_by,
    "multiple": _multiple,
    "pattern": _pattern,
    "ssm": _ssm,
}

ARCHITECTURES: Final[Mapping[str, str]] = {
    "llama": "rms gqa key rope experts_maybe",
    "llama4": "rms layers_by:4 experts own_inner interleave gqa key rope",
    "qwen2": "rms gqa rope",
    "qwen3": "rms gqa key rope",
    "qwen3moe": "rms gqa key rope experts own_inner",
    "qwen3next": "rms layers_by:4 gqa key_always rope_half delta experts own_inner shared_inner",
    "qwen35": "rms layers_by:4 gqa key_always rope_half sections delta",
    "qwen35moe": "rms layers_by:4 gqa key_always rope_half sections delta experts own_inner shared_inner",
    "gemma": "rms gqa key rope",
    "gemma2": "rms gqa key rope window softcaps",
    "gemma3": "rms gqa key rope window",
    "gemma3n": "rms layers:21-40 gqa key rope window",
    "gemma4": "rms layers:6-40 gqa key_always rope window per_layer final_softcap",
    "gemma-embedding": "rms gqa key rope window embeds",
    "phi2": "ln mha rope_half",
    "phi3": "rms gqa rope window_maybe",
    "phimoe": "ln rms gqa rope experts",
    "mistral3": "rms gqa key rope",
    "mistral4": "rms mla q_lora no_lite experts own_inner shared dense_first gating weights_norm",
    "gpt-oss": "rms gqa key rope window experts own_inner",
    "deepseek": "rms gqa rope experts own_inner shared dense_first weights_norm",
    "deepseek2": "rms mla q_lora no_lite experts own_inner shared dense_first weights_norm",
    "glm4": "rms gqa key rope_half",
    "glm4moe": "rms gqa key rope_half experts own_inner shared dense_first gating weights_norm",
    "chatglm": "rms gqa rope_half",
    "granite": "rms gqa key rope scales",
    "granitemoe": "rms gqa key rope scales experts shared_inner_where_experts",
    "granitehybrid": "rms gqa rope scales ssm:2 twice_as_wide recurrent_list experts_maybe shared_inner_where_experts",
    "granite_swa": "rms gqa rope scales window pattern_list",
    "lfm2": "rms gqa rope shortconv recurrent_list",
    "lfm2moe": "rms gqa rope shortconv recurrent_list experts own_inner dense_first gating",
    "nemotron": "ln gqa rope",
    "nemotron_h": "rms ln gqa key_always rope ssm:2 three_kinds",
    "nemotron_h_moe": "rms ln gqa key_always rope ssm:2 experts three_kinds own_inner shared_inner shared weights_norm",
    "mamba": "rms no_attention ssm:1",
    "mamba2": "rms no_attention ssm:2",
    "jamba": "rms gqa rope ssm:1 recurrent_list experts_maybe",
    "falcon-h1": "rms gqa key_always rope ssm:2",
    "plamo2": "rms gqa key_always rope ssm:0 recurrent_list",
    "bert": "ln mha embeds",
    "nomic-bert": "ln mha rope embeds",
    "nomic-bert-moe": "ln mha rope embeds experts every",
    "jina-bert-v2": "ln mha embeds",
    "jina-bert-v3": "ln mha rope embeds",
    "modern-bert": "ln mha rope embeds window pattern:3",
    "neo-bert": "rms mha rope embeds",
    "eurobert": "rms gqa rope embeds",
    "llama-embed": "rms gqa key rope embeds",
    "t5": "rms mha buckets key",
    "t5encoder": "rms mha buckets key embeds",
    "falcon": "ln gqa rope",
    "grok": "rms gqa rope experts softcaps",
    "gpt2": "ln mha",
    "gptneox": "ln mha rope residual_parallel",
    "mpt": "ln mha alibi clamp",
    "baichuan": "rms mha rope",
    "starcoder": "ln mha",
    "starcoder2": "ln gqa rope",
    "refact": "rms gqa alibi",
    "bloom": "ln mha alibi",
    "stablelm": "ln gqa rope_half",
    "qwen": "rms mha rope",
    "qwen2moe": "rms gqa rope experts own_inner shared_inner",
    "qwen2vl": "rms gqa rope sections",
    "qwen3vl": "rms gqa key rope sections",
    "qwen3vlmoe": "rms gqa key rope sections experts own_inner",
    "plamo": "rms gqa rope",
    "plamo3": "rms gqa key rope window pattern:2",
    "codeshell": "ln gqa rope",
    "orion": "ln gqa rope",
    "internlm2": "rms gqa rope",
    "minicpm": "rms gqa rope scales",
    "minicpm3": "rms minicpm3",
    "maple": "rms gqa key rope window pattern_list experts own_inner swiglu_clamp",
    "xverse": "rms mha rope",
    "command-r": "ln gqa rope logit_scale",
    "cohere2": "ln gqa rope window logit_scale",
    "cohere2moe": "ln layers:2-40 gqa rope window pattern_list logit_scale experts own_inner one_dense_first",
    "dbrx": "ln gqa rope experts clamp",
    "olmo": "ln gqa rope",
    "olmo2": "rms gqa rope window_maybe",
    "olmoe": "rms mha rope experts",
    "muse-glimmer": "rms gqa key rope window pattern_list logit_scale",
    "openelm": "rms gqa rope",
    "arctic": "rms gqa rope experts",
    "deepseek2-ocr": "rms mha rope experts own_inner shared dense_first",
    "deepseek32": "rms mla q_lora experts own_inner shared dense_first gating weights_norm indexer yarn",
    "glm-dsa": "rms mla q_lora experts own_inner shared dense_first gating weights_norm indexer",
    "bitnet": "rms gqa rope",
    "jais": "ln mha alibi",
    "jais2": "ln gqa rope",
    "exaone": "rms gqa rope",
    "exaone4": "rms gqa rope window_maybe",
    "exaone-moe": "rms gqa key rope window experts own_inner shared gating weights_norm one_dense_first",
    "rwkv6": "ln wkv rwkv6",
    "rwkv6qwen2": "rms wkv rwkv6 one_shift",
    "rwkv7": "ln wkv rwkv7",
    "arwkv7": "rms wkv rwkv7 one_shift",
    "bailingmoe": "rms gqa key rope experts own_inner shared dense_first weights_norm",
    "bailingmoe2": "rms gqa rope_half experts own_inner shared one_dense_first weights_norm gating",
    "dots1": "rms mha rope experts own_inner shared dense_first gating weights_norm",
    "arcee": "rms gqa key rope",
    "afmoe": "rms gqa key rope window experts own_inner shared one_dense_first gating weights_norm",
    "laguna": "rms gqa key rope window pattern_list experts own_inner shared_inner shared one_dense_first gating",
    "ernie4_5": "rms gqa key rope",
    "ernie4_5-moe": "rms gqa key rope experts own_inner shared interleave one_dense_first",
    "hunyuan-moe": "rms gqa key rope experts own_inner shared_inner",
    "hunyuan-dense": "rms gqa key rope",
    "hunyuan_vl": "rms gqa key rope",
    "hy_v3": "rms gqa key rope experts own_inner shared_inner gating weights_norm one_dense_first",
    "smollm3": "rms gqa rope",
    "dream": "rms gqa rope",
    "llada": "rms gqa rope",
    "llada-moe": "rms gqa rope experts own_inner",
    "smallthinker": "rms gqa key rope window_maybe experts own_inner gating",
    "seed_oss": "rms gqa key rope",
    "grovemoe": "rms gqa rope experts own_inner chunked_experts",
    "apertus": "rms gqa key rope xielu",
    "minimax-01": "rms gqa key_always rope_half experts residual_scale interval",
    "minimax-m2": "rms gqa key_always rope_half experts own_inner gating",
    "cogvlm": "rms mha rope",
    "rnd1": "rms gqa key rope experts own_inner",
    "pangu-embedded": "rms gqa rope",
    "paddleocr": "rms gqa key rope sections",
    "mimo2": "rms gqa key_always rope window window_rope pattern_numbers experts own_inner gating",
    "step35": "rms gqa key_always rope window window_rope pattern_numbers experts own_inner shared_inner gating",
    "spark2_5": "rms gqa key rope window window_rope pattern_numbers",
    "maincoder": "rms gqa key rope",
    "kimi-linear": "rms mla kda hybrid_heads experts own_inner shared one_dense_first gating weights_norm",
    "talkie": "rms gqa rope logit_scale",
    "mellum": "rms gqa key rope window pattern_list experts own_inner",
    "nanbeige": "rms gqa rope",
}
