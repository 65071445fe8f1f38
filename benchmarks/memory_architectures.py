"""Every architecture of llama.cpp that is drawn, as a line of features of its metadata: `ARCHITECTURES`, `draw`."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from benchmarks import memory_drawing, memory_layers
from benchmarks.memory_drawing import ALL_SIZES, SMALL, Bounds, Drawn, Value

__all__ = ["ALL_SIZES", "ARCHITECTURES", "SMALL", "Bounds", "Value", "draw"]

_UNPREFIXED = ("tokenizer.", "xielu.")
_FEATURES = {**memory_drawing.FEATURES, **memory_layers.FEATURES}
_WITH_ARGUMENT = {**memory_drawing.WITH_ARGUMENT, **memory_layers.WITH_ARGUMENT}


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
        if argument:
            _WITH_ARGUMENT[name](drawn, argument)
        else:
            _FEATURES[name](drawn)
    keys = {
        "embedding_length": drawn.width,
        "block_count": drawn.layers,
        "feed_forward_length": drawn.inner,
        "attention.head_count": drawn.heads,
        **drawn.keys,
    }
    return {key if key.startswith(_UNPREFIXED) else f"{architecture}.{key}": value for key, value in keys.items()}


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
