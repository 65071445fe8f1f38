"""Which graph each architecture has, and what it reads of the metadata beside the common keys (src/models, b10970)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ollama_provider.ollama.memory.blocks import Blocks, Reserve
from ollama_provider.ollama.memory.decoders import Decoder, Experts, Transformer
from ollama_provider.ollama.memory.gemma import Gemma3n, Gemma4
from ollama_provider.ollama.memory.hparams import Hparams
from ollama_provider.ollama.memory.latent import latent_attention, whole_attention
from ollama_provider.ollama.memory.others import Arctic, Bert, Chameleon, Deci, Grok, Grove, Talkie
from ollama_provider.ollama.memory.recurrent import (
    Alone,
    Alone2,
    DeltaNet,
    DeltaNetNext,
    FalconH1,
    Mamba,
    Mamba2,
    NemotronH,
    Plamo2,
    ShortConvolution,
    ssm_state,
)

Mixture = Callable[[Hparams, int], Experts | None]


@dataclass(frozen=True)
class Architecture:
    """`read` completes what the metadata say; `form` may depend on it. `state`: elements of all recurrent layers."""

    form: Decoder | Callable[[Hparams], Decoder]
    read: Callable[[Hparams], None] = lambda _: None
    kind: type[Transformer] = Transformer
    state: Callable[[Hparams], int] = lambda _: 0
    is_causal: bool = True
    has_flash_attention: bool = True
    keeps_cache: bool = False  # one that the graph does not use

    def form_of(self, hparams: Hparams) -> Decoder:
        return self.form if isinstance(self.form, Decoder) else self.form(hparams)

    @property
    def has_cache(self) -> bool:
        return self.keeps_cache or not isinstance(self.form, Decoder) or self.form.has_cache

    def build(self, hparams: Hparams, reserve: Reserve, layers: list[int]) -> Blocks:
        return self.kind(hparams, reserve, self.form_of(hparams)).build(layers)

    def kind_of(self, h: Hparams, layer: int) -> object:
        """Layers of the same kind have the same graph."""
        mixture = self.form_of(h).mixture
        return (
            h.heads[layer],
            h.kv_heads[layer],
            h.key[layer],
            h.value[layer],
            h.inner[layer],
            h.used[layer],
            h.is_window[layer],
            h.is_recurrent[layer],
            h.has_cache[layer],
            h.has_rope[layer],
            None if mixture is None else mixture(h, layer),
        )


def _window(
    period: int, *, default: int | None = 0, fixed: int = 0, dense_first: bool = False
) -> Callable[[Hparams], None]:
    """`default` where the key of the window is missing, None: it must be there; `fixed` whatever it says but 0."""

    def read(h: Hparams) -> None:
        window = h.number("attention.sliding_window", default)
        h.set_window(fixed if fixed and window else window, period, dense_first=dense_first)

    return read


def _experts(own: str = "expert_feed_forward_length", *, divided: bool = False, **options: object) -> Mixture:
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
        given["has_bias"] = h.has(f"blk.{layer}.exp_probs_b.bias", True)
    return Experts(inner=inner, scales=h.real("expert_weights_scale") not in (0.0, 1.0), **given)  # type: ignore[arg-type]


def _scaled(form: Decoder) -> Callable[[Hparams], Decoder]:
    """granite and its kin: factors of the embedding, the residuals and the logits."""

    def scaled(h: Hparams) -> Decoder:
        return replace(
            form,
            scales_embedding=h.real("embedding_scale") != 0,
            scales_residual=h.real("residual_scale") != 0,
            logit_changes=1,
        )

    return scaled


def _neox(h: Hparams) -> Decoder:
    is_parallel = bool(h.get("use_parallel_residual", True))
    return Decoder(norm="layer", ffn="plain", is_fused=True, beside="own norm" if is_parallel else "")


def _stablelm(h: Hparams) -> Decoder:
    has_norm = h.has("blk.0.ffn_norm.weight", True)
    normed = "layer" if h.has("blk.0.attn_q_norm.weight", False) else ""
    return Decoder(norm="layer", head_norm=normed, beside="" if has_norm else "after, one norm")


def _optional_head_norm(kind: str, form: Decoder) -> Callable[[Hparams], Decoder]:
    def chosen(h: Hparams) -> Decoder:
        return replace(form, head_norm=kind if h.has("blk.0.attn_q_norm.weight", False) else "")

    return chosen


def _llama4(h: Hparams) -> None:
    if h.number("attention.sliding_window", 1):
        h.set_window(8192, 4)
        h.has_rope = h.where(lambda layer: (layer + 1) % 4 != 0)


def _cohere2(h: Hparams) -> None:
    _window(4, default=None)(h)
    h.has_rope = h.is_window


def _no_rope_in_fourth(h: Hparams) -> None:
    h.has_rope = h.where(lambda layer: (layer + 1) % 4 != 0)


def _smallthinker(h: Hparams) -> None:
    _window(4, fixed=4096, dense_first=True)(h)
    if h.window:
        h.has_rope = h.where(lambda layer: layer % 4 != 0)


def _listed_window(period: int = 0, *, dense_first: bool = False) -> Callable[[Hparams], None]:
    """The pattern may be a list: then it says which layers have a window."""

    def read(h: Hparams) -> None:
        h.set_window(h.number("attention.sliding_window", None), period or 4, dense_first=dense_first)
        if (pattern := h.flags("attention.sliding_window_pattern")) is not None:
            h.is_window = pattern

    return read


def _rope_in_windows(read: Callable[[Hparams], None]) -> Callable[[Hparams], None]:
    def both(h: Hparams) -> None:
        read(h)
        h.has_rope = h.is_window

    return both


def _cohere2moe(h: Hparams) -> None:
    _listed_window(4, dense_first=True)(h)
    lead = h.number("leading_dense_block_count", 0)
    h.has_rope = tuple(is_window or layer < lead for layer, is_window in enumerate(h.is_window))


def _gpt_oss(h: Hparams) -> None:
    _window(2, default=None)(h)


def _granite(h: Hparams) -> None:
    h.has_rope = (bool(h.get("rope.scaling.finetuned", True)),) * h.layers_all


def _exaone4(h: Hparams) -> None:
    if h.layers == 64:
        h.set_window(h.number("attention.sliding_window", 4096), 4)


def _mellum(h: Hparams) -> None:
    _window(4)(h)
    pattern = h.flags("attention.sliding_window_pattern")
    if h.window and pattern:
        h.is_window = pattern


def _sections(h: Hparams) -> None:
    """Positions of text and of pictures: four each."""
    h.positions_each = 4


def _maybe_sections(h: Hparams) -> None:
    found = h.get("rope.dimension_sections")
    if isinstance(found, (list, tuple)) and len(found) > 1 and found[0] > 0 and found[1] > 0:
        h.positions_each = 4


def _deep_stack(h: Hparams) -> None:
    h.positions_each = 4
    h.deep_stack = h.number("n_deepstack_layers", 0)


def _no_heads_recur(h: Hparams) -> None:
    """Where there are no KV heads, there is a state."""
    h.set_recurrent(h.where(lambda layer: layer < h.layers and h.kv_heads[layer] == 0))


def _granite_hybrid(h: Hparams) -> None:
    _no_heads_recur(h)
    _granite(h)


def _nemotron_h(h: Hparams) -> None:
    recurs = h.where(lambda layer: layer < h.layers and h.kv_heads[layer] == 0 and h.inner[layer] == 0)
    h.set_recurrent(recurs)
    h.has_cache = h.where(lambda layer: not recurs[layer] and h.inner[layer] == 0)


def _all_recur(h: Hparams) -> None:
    h.set_recurrent((True,) * h.layers_all)


def _every_recurs(h: Hparams) -> None:
    """Attention in every fourth layer, or as the metadata say."""
    listed = h.flags("attention.recurrent_layers")
    every = h.number("full_attention_interval", 4)
    h.set_recurrent(listed or h.where(lambda layer: layer < h.layers and (layer + 1) % every != 0))


def _qwen35(h: Hparams) -> None:
    _every_recurs(h)
    _sections(h)


def _lfm2(h: Hparams) -> None:
    _no_heads_recur(h)
    if window := h.number("attention.sliding_window", 0):
        h.window, h.is_window = window, h.where(lambda layer: not h.is_recurrent[layer])


def _ssm_states(h: Hparams) -> int:
    return sum(h.is_recurrent) * ssm_state(h)


def _short_states(h: Hparams) -> int:
    return sum(h.is_recurrent) * h.width * (h.number("shortconv.l_cache") - 1)


def _baichuan(h: Hparams) -> None:
    """The 7B alone, known by its layers, has positions."""
    h.has_rope = (h.layers == 32,) * h.layers_all


def _latent(h: Hparams) -> None:
    h.is_latent = h.number("attention.key_length_mla", 0) > 0
    h.weighs_positions = h.real("attention.temperature_scale") != 0


def _mistral3(h: Hparams) -> None:
    h.weighs_positions = h.real("attention.temperature_scale") != 0


def _gemma3n(h: Hparams) -> None:
    _window(5, default=None)(h)
    h.has_cache = h.where(lambda layer: layer < 20)


def _gemma4(h: Hparams) -> None:
    window, pattern = h.number("attention.sliding_window"), h.flags("attention.sliding_window_pattern")
    if pattern is None:
        raise ValueError("gemma4.attention.sliding_window_pattern is missing in the model's metadata, expected a list")
    h.window, h.is_window = window, pattern
    h.set_lengths(h.number("attention.key_length_swa"), h.number("attention.value_length_swa"))
    own = h.layers_all - h.number("attention.shared_kv_layers", 0)
    h.has_cache = h.where(lambda layer: layer < own)


def _gemma4_experts(h: Hparams, layer: int) -> Experts | None:
    if not h.experts or not h.has(f"blk.{layer}.ffn_gate_inp.weight", True):
        return None
    return Experts(
        h.by_layer("expert_feed_forward_length", 0)[layer],
        is_joint=h.has(f"blk.{layer}.ffn_gate_up_exps.weight", True),
    )


def _every_second_experts(h: Hparams, layer: int) -> Experts | None:
    every = h.number("moe_every_n_layers", 0)
    if not every or layer % every != 1:
        return None
    return Experts(h.inner[layer], kind="plain", norms=False, scales=h.real("expert_weights_scale") not in (0.0, 1.0))


_PLAIN: Final = Decoder()
_NORMED: Final = Decoder(head_norm="rms")
_LAYER: Final = Decoder(norm="layer")
_BERT: Final = Decoder(has_cache=False, ffn="plain", has_rope=False)
_DEEPSEEK2: Final = Decoder(
    attention=latent_attention,
    mixture=_experts(shared="count", gating_key="softmax", norms_key=True, has_bias=True),
)
_GPT2: Final = Decoder(norm="layer", ffn="plain", is_fused=True, has_rope=False, has_position_table=True)
_GEMMA: Final = Decoder(scales_embedding=True, scales_queries=True)
_GEMMA2: Final = replace(_GEMMA, has_post_norms=True, softcaps=True, logit_changes=3)
_PHI3: Final = Decoder(ffn="joint", is_fused=True, scales_queries=True, residual_first="last")
_POST: Final = Decoder(has_norms_before=False, has_post_norms=True)
_NO_CACHE: Final = Decoder(has_cache=False)
_MIXED: Final = _experts("", divided=False)
_MOE_CACHE: Final = _experts(divided=True)

ARCHITECTURES: Final[dict[str, Architecture]] = {
    "afmoe": Architecture(
        Decoder(
            head_norm="rms",
            scales_embedding=True,
            gates_attention=True,
            has_post_norms=True,
            mixture=_experts(shared="count", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        _window(4),
    ),
    "apertus": Architecture(Decoder(head_norm="rms", ffn="plain")),
    "arcee": Architecture(Decoder(ffn="squared")),
    "baichuan": Architecture(_PLAIN, _baichuan),
    "bailingmoe": Architecture(Decoder(mixture=_experts(shared="count", norms_key=True))),
    "bailingmoe2": Architecture(
        Decoder(
            head_norm="rms",
            is_fused=True,
            mixture=_experts(shared="key times count", gating_key="softmax", norms_key=True, has_bias=True),
        )
    ),
    "bitnet": Architecture(Decoder(has_sub_norms=True)),
    "bloom": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True, has_rope=False, normalises_embedding=True)),
    "chatglm": Architecture(Decoder(ffn="joint", is_fused=True)),
    "codeshell": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True)),
    "cogvlm": Architecture(Decoder(is_fused=True, picks_outputs=False)),
    "cohere2": Architecture(Decoder(norm="layer", beside="one norm", residual_first="last", logit_changes=1), _cohere2),
    "command-r": Architecture(
        _optional_head_norm("layer", Decoder(norm="layer", beside="one norm", residual_first="last", logit_changes=1))
    ),
    "dbrx": Architecture(Decoder(norm="layer", is_fused=True, mixture=_MIXED)),
    "deepseek": Architecture(Decoder(mixture=_experts(shared="count", norms=False))),
    "dots1": Architecture(
        Decoder(head_norm="rms", mixture=_experts(shared="count", gating_key="sigmoid", norms_key=True, has_bias=True))
    ),
    "dream": Architecture(_NO_CACHE, is_causal=False),
    "ernie4_5": Architecture(_PLAIN, _maybe_sections),
    "ernie4_5-moe": Architecture(Decoder(mixture=_experts(shared="key", has_bias=True)), _maybe_sections),
    "eurobert": Architecture(replace(_NO_CACHE, has_logits=False), is_causal=False),
    "exaone": Architecture(_PLAIN),
    "exaone-moe": Architecture(
        Decoder(
            head_norm="rms",
            mixture=_experts(shared="key or one", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        _window(4, default=None),
    ),
    "exaone4": Architecture(replace(_POST, head_norm="rms"), _exaone4),
    "falcon": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True, beside="one norm")),
    "gemma": Architecture(_GEMMA),
    "gemma-embedding": Architecture(
        replace(_GEMMA, head_norm="rms", has_post_norms=True, has_cache=False, has_logits=False),
        _window(6, default=None),
        is_causal=False,
    ),
    "gemma2": Architecture(_GEMMA2, _window(2, default=4096)),
    "gemma3": Architecture(replace(_GEMMA2, head_norm="rms", softcaps=False), _window(6)),
    "glm4": Architecture(Decoder(ffn="joint", has_post_norms=True), _maybe_sections),
    "glm4moe": Architecture(
        _optional_head_norm(
            "rms",
            Decoder(
                mixture=_experts(shared="count", gating_key="sigmoid", norms_key=True, has_bias=True, divided=True)
            ),
        ),
        _maybe_sections,
    ),
    "gpt2": Architecture(_GPT2),
    "gptneox": Architecture(_neox),
    "granite": Architecture(_scaled(Decoder(mixture=_experts("", shared="key"))), _granite),
    "granitemoe": Architecture(_scaled(Decoder(mixture=_experts("", shared="key")))),
    "hunyuan-dense": Architecture(_NORMED),
    "hunyuan-moe": Architecture(Decoder(head_norm="rms", mixture=_experts("", shared="key or dense"))),
    "hunyuan_vl": Architecture(_NORMED, _maybe_sections),
    "internlm2": Architecture(_PLAIN),
    "jais": Architecture(Decoder(norm="layer", is_fused=True, has_rope=False)),
    "jais2": Architecture(Decoder(norm="layer", ffn="squared")),
    "llada": Architecture(_NO_CACHE, is_causal=False),
    "llada-moe": Architecture(
        replace(_NO_CACHE, head_norm="rms", mixture=_experts(norms=False, divided=True)), is_causal=False
    ),
    "llama": Architecture(Decoder(mixture=_MIXED)),
    "llama-embed": Architecture(replace(_NO_CACHE, has_logits=False, mixture=_MIXED), keeps_cache=True),
    "llama4": Architecture(
        Decoder(
            weighs_queries=True,
            mixture=_experts(shared="one", gating="sigmoid", norms=False, picks_logits=True, weighs_before=True),
        ),
        _llama4,
    ),
    "maincoder": Architecture(_NORMED),
    "mellum": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE), _mellum),
    "minicpm": Architecture(_scaled(Decoder(mixture=_experts("", shared="key")))),
    "minimax-m2": Architecture(Decoder(head_norm="flat", mixture=_experts("", gating_key="sigmoid", has_bias=True))),
    "mistral3": Architecture(Decoder(mixture=_MIXED)),
    "modern-bert": Architecture(
        replace(_NO_CACHE, norm="layer", ffn="joint", is_fused=True, normalises_embedding=True, has_logits=False),
        _window(3, dense_first=True),
        is_causal=False,
    ),
    "mpt": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True, has_rope=False)),
    "nemotron": Architecture(Decoder(norm="layer", ffn="squared")),
    "neo-bert": Architecture(replace(_NO_CACHE, ffn="joint", is_fused=True, has_logits=False), is_causal=False),
    "olmo": Architecture(_LAYER),
    "olmo2": Architecture(replace(_POST, head_norm="flat"), _window(4)),
    "olmoe": Architecture(Decoder(head_norm="flat", mixture=_experts("", norms=False))),
    "openelm": Architecture(Decoder(head_norm="rms", is_fused=True)),
    "orion": Architecture(_LAYER),
    "paddleocr": Architecture(_PLAIN, _sections),
    "pangu-embedded": Architecture(_PLAIN),
    "phi2": Architecture(Decoder(norm="layer", ffn="plain", beside="one norm", scales_queries=True)),
    "phi3": Architecture(_PHI3),
    "phimoe": Architecture(replace(_PHI3, is_fused=False, mixture=_MIXED)),
    "plamo": Architecture(Decoder(beside="one norm")),
    "qwen": Architecture(Decoder(is_fused=True)),
    "qwen2": Architecture(_PLAIN),
    "qwen2moe": Architecture(
        Decoder(mixture=_experts(shared="key or dense", shared_gate=True, norms=False, divided=True))
    ),
    "qwen2vl": Architecture(_PLAIN, _sections),
    "qwen3": Architecture(_NORMED),
    "qwen3moe": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE)),
    "qwen3vl": Architecture(_NORMED, _deep_stack),
    "qwen3vlmoe": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE), _deep_stack),
    "refact": Architecture(Decoder(has_rope=False)),
    "rnd1": Architecture(replace(_NO_CACHE, head_norm="rms", mixture=_MOE_CACHE), is_causal=False),
    "seed_oss": Architecture(_PLAIN),
    "smollm3": Architecture(_PLAIN, _no_rope_in_fourth),
    "stablelm": Architecture(_stablelm),
    "starcoder": Architecture(_GPT2),
    "starcoder2": Architecture(Decoder(norm="layer", ffn="plain")),
    "xverse": Architecture(_PLAIN),
    "arctic": Architecture(_PLAIN, kind=Arctic),
    "bert": Architecture(replace(_BERT, has_position_table=True), kind=Bert, is_causal=False),
    "chameleon": Architecture(_PLAIN, kind=Chameleon),
    "deci": Architecture(_PLAIN, kind=Deci),
    "deepseek2": Architecture(_DEEPSEEK2, _latent),
    "gemma3n": Architecture(_PLAIN, _gemma3n, Gemma3n),
    "gemma4": Architecture(Decoder(mixture=_gemma4_experts), _gemma4, Gemma4),
    "grok": Architecture(
        Decoder(has_post_norms=True, scales_embedding=True, logit_changes=4), kind=Grok, has_flash_attention=False
    ),
    "grovemoe": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE), kind=Grove),
    "jina-bert-v2": Architecture(replace(_BERT, ffn="gated"), kind=Bert, is_causal=False),
    "jina-bert-v3": Architecture(replace(_BERT, has_rope=True, is_fused=True), kind=Bert, is_causal=False),
    "minicpm3": Architecture(
        Decoder(attention=whole_attention, scales_embedding=True, scales_residual=True, logit_changes=1)
    ),
    "mistral4": Architecture(_DEEPSEEK2, _latent),
    "nomic-bert": Architecture(replace(_BERT, ffn="gated", has_rope=True, is_fused=True), kind=Bert, is_causal=False),
    "nomic-bert-moe": Architecture(
        replace(_BERT, has_rope=True, is_fused=True, mixture=_every_second_experts), kind=Bert, is_causal=False
    ),
    "plm": Architecture(Decoder(attention=whole_attention, ffn="squared")),
    "talkie": Architecture(_PLAIN, kind=Talkie),
    "falcon-h1": Architecture(_PLAIN, kind=FalconH1, state=lambda h: h.layers * ssm_state(h)),
    "granitehybrid": Architecture(
        _scaled(Decoder(mixture=_experts("", shared="key"))), _granite_hybrid, Mamba2, _ssm_states
    ),
    "jamba": Architecture(
        Decoder(has_rope=False, residual_first="always", mixture=_experts("", norms=False)),
        _no_heads_recur,
        Mamba,
        _ssm_states,
    ),
    "lfm2": Architecture(Decoder(head_norm="rms", residual_first="always"), _lfm2, ShortConvolution, _short_states),
    "lfm2moe": Architecture(
        Decoder(head_norm="rms", residual_first="always", mixture=_experts(gating_key="sigmoid", has_bias=True)),
        _lfm2,
        ShortConvolution,
        _short_states,
    ),
    "mamba": Architecture(_PLAIN, _all_recur, Alone, _ssm_states, keeps_cache=False),
    "mamba2": Architecture(_PLAIN, _all_recur, Alone2, _ssm_states),
    "nemotron_h": Architecture(Decoder(has_rope=False, keeps="after the norm"), _nemotron_h, NemotronH, _ssm_states),
    "nemotron_h_moe": Architecture(
        Decoder(
            has_rope=False,
            keeps="after the norm",
            mixture=_experts(shared="key", norms_key=True, has_bias=True, kind="squared", divided=True),
        ),
        _nemotron_h,
        NemotronH,
        _ssm_states,
    ),
    "plamo2": Architecture(
        Decoder(head_norm="rms", ffn="joint", is_fused=True, has_post_norms=True), _no_heads_recur, Plamo2, _ssm_states
    ),
    "qwen35": Architecture(Decoder(keeps="after the norm"), _qwen35, DeltaNet, _ssm_states),
    "qwen35moe": Architecture(
        Decoder(keeps="after the norm", mixture=_experts(shared="key or dense", shared_gate=True, divided=True)),
        _qwen35,
        DeltaNet,
        _ssm_states,
    ),
    "qwen3next": Architecture(
        Decoder(keeps="after the norm", mixture=_experts(shared="key or dense", shared_gate=True, divided=True)),
        _every_recurs,
        DeltaNetNext,
        _ssm_states,
    ),
    "cohere2moe": Architecture(
        Decoder(
            norm="layer",
            beside="one norm",
            residual_first="last",
            logit_changes=1,
            keeps="after the norm",
            mixture=_experts(shared="key or count", gating_key="sigmoid", norms_key=True),
        ),
        _cohere2moe,
    ),
    "deepseek2-ocr": Architecture(
        Decoder(mixture=_experts(shared="count", gating_key="softmax", norms_key=True, has_bias=True))
    ),
    "gpt-oss": Architecture(
        Decoder(keeps="before the norm", mixture=_experts(kind="biased", gating="chosen", norms=False)),
        _gpt_oss,
    ),
    "granite_swa": Architecture(_scaled(Decoder(mixture=_experts("", shared="key"))), _listed_window()),
    "hy_v3": Architecture(
        Decoder(
            head_norm="rms",
            keeps="after the norm",
            mixture=_experts(shared="key or one", gating_key="sigmoid", norms_key=True, has_bias=True, divided=True),
        )
    ),
    "laguna": Architecture(
        Decoder(
            head_norm="rms",
            gates_attention=True,
            mixture=_experts(shared="key or count", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        _window(4, dense_first=True),
    ),
    "maple": Architecture(Decoder(head_norm="rms", mixture=_experts()), _rope_in_windows(_listed_window())),
    "mimo2": Architecture(Decoder(is_fused=True, mixture=_experts(gating="sigmoid", has_bias=True)), _listed_window()),
    "muse-glimmer": Architecture(
        Decoder(head_norm="rms", normalises_embedding=True, gates_attention=True, has_post_norms=True, logit_changes=1),
        _rope_in_windows(_listed_window(4)),
    ),
    "nanbeige": Architecture(_PLAIN),
    "plamo3": Architecture(Decoder(head_norm="rms", ffn="joint", is_fused=True, has_post_norms=True), _window(8)),
    "smallthinker": Architecture(Decoder(routes_residual=True, mixture=_experts(gating_key="softmax")), _smallthinker),
    "spark2_5": Architecture(Decoder(gates_attention=True, gates_heads=True), _listed_window()),
    "step35": Architecture(
        Decoder(
            head_norm="rms",
            gates_attention=True,
            gates_heads=True,
            keeps="before the norm",
            mixture=_experts(shared="key", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        _listed_window(),
    ),
}
