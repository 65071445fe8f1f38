"""What the metadata of a model are drawn from: bounds, what was drawn so far, and features of attention.

A feature adds its keys to what was drawn; which keys an architecture reads is in llama.cpp's src/models, their names in
src/llama-arch.cpp (b10970). Widths are in elements. `FEATURES` has them by their name in `memory_architectures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import isfunction
from random import Random
from typing import Any, Final

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


def _embeds(drawn: Drawn) -> None:
    drawn.keys["attention.causal"] = False
    drawn.keys["pooling_type"] = drawn.any_of(1, 2)
    drawn.keys["context_length"] = drawn.any_of(512, 2048, 8192)
    drawn.keys["tokenizer.ggml.token_type_count"] = 2


def _scales(drawn: Drawn) -> None:
    drawn.keys |= {"logit_scale": 8.0, "residual_scale": 0.22, "embedding_scale": 12.0, "attention.scale": 0.0156}


def _logit_scale(drawn: Drawn) -> None:
    drawn.keys["logit_scale"] = 0.25


def _softcaps(drawn: Drawn) -> None:
    drawn.keys |= {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}


def _final_softcap(drawn: Drawn) -> None:
    drawn.keys["final_logit_softcapping"] = 30.0


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


def _buckets(drawn: Drawn) -> None:
    drawn.keys["attention.relative_buckets_count"] = 32


def _xielu(drawn: Drawn) -> None:
    for key in ("alpha_n", "alpha_p", "beta", "eps"):
        drawn.keys[f"xielu.{key}"] = [1.0] * drawn.layers


def _indexer(drawn: Drawn) -> None:
    drawn.keys |= {"attention.indexer.head_count": 64, "attention.indexer.key_length": 128}
    drawn.keys["attention.indexer.top_k"] = drawn.any_of(512, 2048)


def _residual_parallel(drawn: Drawn) -> None:
    drawn.keys["use_parallel_residual"] = drawn.often()


def _window_rope(drawn: Drawn) -> None:
    drawn.keys["rope.freq_base_swa"] = 10000.0


def _residual_scale(drawn: Drawn) -> None:
    drawn.keys["residual_scale"] = 3.5565588200778455


def _interval(drawn: Drawn) -> None:
    drawn.keys["full_attention_interval"] = drawn.any_of(2, 4, 8)


def _yarn(drawn: Drawn) -> None:
    drawn.keys["rope.scaling.yarn_log_multiplier"] = 0.1


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


def named(module: Mapping[str, Any]) -> dict[str, Feature]:
    """The features of a module by their names: those that want an argument are not among them."""
    functions = {name: one for name, one in module.items() if name.startswith("_") and isfunction(one)}
    return {name.removeprefix("_"): one for name, one in functions.items() if one.__code__.co_argcount == 1}


FEATURES: Final[Mapping[str, Feature]] = named(globals())
WITH_ARGUMENT: Final[Mapping[str, Callable[[Drawn, str], None]]] = {
    "layers": _layers,
    "layers_by": _layers_by,
    "pattern": _pattern,
}
