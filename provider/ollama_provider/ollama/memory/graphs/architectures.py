"""Which graph each architecture has, and what it reads of the metadata beside the common keys (src/models, b10970)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ollama_provider.ollama.memory.graphs import readers
from ollama_provider.ollama.memory.graphs.blocks import Blocks, Reserve
from ollama_provider.ollama.memory.graphs.decoders import Decoder, Transformer
from ollama_provider.ollama.memory.graphs.gemma import Gemma3n, Gemma4
from ollama_provider.ollama.memory.graphs.latent import latent_attention, whole_attention
from ollama_provider.ollama.memory.graphs.mixtures import every_second_experts, experts, gemma4_experts
from ollama_provider.ollama.memory.graphs.others import Arctic, Bert, Grok, Grove, Talkie
from ollama_provider.ollama.memory.graphs.recurrent import (
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
from ollama_provider.ollama.memory.hparams import Hparams


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


_PLAIN: Final = Decoder()
_NORMED: Final = Decoder(head_norm="rms")
_LAYER: Final = Decoder(norm="layer")
_BERT: Final = Decoder(has_cache=False, ffn="plain", has_rope=False)
_DEEPSEEK2: Final = Decoder(
    attention=latent_attention,
    mixture=experts(shared="count", gating_key="softmax", norms_key=True, has_bias=True),
)
_GPT2: Final = Decoder(norm="layer", ffn="plain", is_fused=True, has_rope=False, has_position_table=True)
_GEMMA: Final = Decoder(scales_embedding=True, scales_queries=True)
_GEMMA2: Final = replace(_GEMMA, has_post_norms=True, softcaps=True, logit_changes=3)
_PHI3: Final = Decoder(ffn="joint", is_fused=True, scales_queries=True, residual_first="last")
_POST: Final = Decoder(has_norms_before=False, has_post_norms=True)
_NO_CACHE: Final = Decoder(has_cache=False)
_MIXED: Final = experts("", divided=False)
_MOE_CACHE: Final = experts(divided=True)

ARCHITECTURES: Final[dict[str, Architecture]] = {
    "afmoe": Architecture(
        Decoder(
            head_norm="rms",
            scales_embedding=True,
            gates_attention=True,
            has_post_norms=True,
            mixture=experts(shared="count", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        readers.window(4),
    ),
    "apertus": Architecture(Decoder(head_norm="rms", ffn="plain")),
    "arcee": Architecture(Decoder(ffn="squared")),
    "baichuan": Architecture(_PLAIN, readers.baichuan),
    "bailingmoe": Architecture(Decoder(mixture=experts(shared="count", norms_key=True))),
    "bailingmoe2": Architecture(
        Decoder(
            head_norm="rms",
            is_fused=True,
            mixture=experts(shared="key times count", gating_key="softmax", norms_key=True, has_bias=True),
        )
    ),
    "bitnet": Architecture(Decoder(has_sub_norms=True)),
    "bloom": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True, has_rope=False, normalises_embedding=True)),
    "chatglm": Architecture(Decoder(ffn="joint", is_fused=True)),
    "codeshell": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True)),
    "cogvlm": Architecture(Decoder(is_fused=True, picks_outputs=False)),
    "cohere2": Architecture(
        Decoder(norm="layer", beside="one norm", residual_first="last", logit_changes=1), readers.cohere2
    ),
    "command-r": Architecture(
        _optional_head_norm("layer", Decoder(norm="layer", beside="one norm", residual_first="last", logit_changes=1))
    ),
    "dbrx": Architecture(Decoder(norm="layer", is_fused=True, mixture=_MIXED)),
    "deepseek": Architecture(Decoder(mixture=experts(shared="count", norms=False))),
    "dots1": Architecture(
        Decoder(head_norm="rms", mixture=experts(shared="count", gating_key="sigmoid", norms_key=True, has_bias=True))
    ),
    "dream": Architecture(_NO_CACHE, is_causal=False),
    "ernie4_5": Architecture(_PLAIN, readers.maybe_sections),
    "ernie4_5-moe": Architecture(Decoder(mixture=experts(shared="key", has_bias=True)), readers.maybe_sections),
    "eurobert": Architecture(replace(_NO_CACHE, has_logits=False), is_causal=False),
    "exaone": Architecture(_PLAIN),
    "exaone-moe": Architecture(
        Decoder(
            head_norm="rms",
            mixture=experts(shared="key or one", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        readers.window(4, default=None),
    ),
    "exaone4": Architecture(replace(_POST, head_norm="rms"), readers.exaone4),
    "falcon": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True, beside="one norm")),
    "gemma": Architecture(_GEMMA),
    "gemma-embedding": Architecture(
        replace(_GEMMA, head_norm="rms", has_post_norms=True, has_cache=False, has_logits=False),
        readers.window(6, default=None),
        is_causal=False,
    ),
    "gemma2": Architecture(_GEMMA2, readers.window(2, default=4096)),
    "gemma3": Architecture(replace(_GEMMA2, head_norm="rms", softcaps=False), readers.window(6)),
    "glm4": Architecture(Decoder(ffn="joint", has_post_norms=True), readers.maybe_sections),
    "glm4moe": Architecture(
        _optional_head_norm(
            "rms",
            Decoder(mixture=experts(shared="count", gating_key="sigmoid", norms_key=True, has_bias=True, divided=True)),
        ),
        readers.maybe_sections,
    ),
    "gpt2": Architecture(_GPT2),
    "gptneox": Architecture(_neox),
    "granite": Architecture(_scaled(Decoder(mixture=experts("", shared="key"))), readers.granite),
    "granitemoe": Architecture(_scaled(Decoder(mixture=experts("", shared="key")))),
    "hunyuan-dense": Architecture(_NORMED),
    "hunyuan-moe": Architecture(Decoder(head_norm="rms", mixture=experts("", shared="key or dense"))),
    "hunyuan_vl": Architecture(_NORMED, readers.maybe_sections),
    "internlm2": Architecture(_PLAIN),
    "jais": Architecture(Decoder(norm="layer", is_fused=True, has_rope=False)),
    "jais2": Architecture(Decoder(norm="layer", ffn="squared")),
    "llada": Architecture(_NO_CACHE, is_causal=False),
    "llada-moe": Architecture(
        replace(_NO_CACHE, head_norm="rms", mixture=experts(norms=False, divided=True)), is_causal=False
    ),
    "llama": Architecture(Decoder(mixture=_MIXED)),
    "llama-embed": Architecture(replace(_NO_CACHE, has_logits=False, mixture=_MIXED), keeps_cache=True),
    "llama4": Architecture(
        Decoder(
            weighs_queries=True,
            mixture=experts(shared="one", gating="sigmoid", norms=False, chooses_by="logits", weighs_before=True),
        ),
        readers.llama4,
    ),
    "maincoder": Architecture(_NORMED),
    "mellum": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE), readers.mellum),
    "minicpm": Architecture(_scaled(Decoder(mixture=experts("", shared="key")))),
    "minimax-m2": Architecture(Decoder(head_norm="flat", mixture=experts("", gating_key="sigmoid", has_bias=True))),
    "mistral3": Architecture(Decoder(mixture=_MIXED)),
    "modern-bert": Architecture(
        replace(_NO_CACHE, norm="layer", ffn="joint", is_fused=True, normalises_embedding=True, has_logits=False),
        readers.window(3, dense_first=True),
        is_causal=False,
    ),
    "mpt": Architecture(Decoder(norm="layer", ffn="plain", is_fused=True, has_rope=False)),
    "nemotron": Architecture(Decoder(norm="layer", ffn="squared")),
    "neo-bert": Architecture(replace(_NO_CACHE, ffn="joint", is_fused=True, has_logits=False), is_causal=False),
    "olmo": Architecture(_LAYER),
    "olmo2": Architecture(replace(_POST, head_norm="flat"), readers.window(4)),
    "olmoe": Architecture(Decoder(head_norm="flat", mixture=experts("", norms=False))),
    "openelm": Architecture(Decoder(head_norm="rms", is_fused=True, residual_first="first")),
    "orion": Architecture(_LAYER),
    "paddleocr": Architecture(_PLAIN, readers.sections),
    "pangu-embedded": Architecture(_PLAIN),
    "phi2": Architecture(
        Decoder(
            norm="layer",
            ffn="plain",
            beside="one norm",
            scales_queries=True,
            residual_first="attended",
            logit_changes=1,
        )
    ),
    "phi3": Architecture(_PHI3),
    "phimoe": Architecture(replace(_PHI3, is_fused=False, mixture=_MIXED)),
    "plamo": Architecture(Decoder(beside="one norm")),
    "qwen": Architecture(Decoder(is_fused=True), readers.qwen),
    "qwen2": Architecture(_PLAIN),
    "qwen2moe": Architecture(
        Decoder(mixture=experts(shared="key or dense", shared_gate=True, norms=False, divided=True))
    ),
    "qwen2vl": Architecture(_PLAIN, readers.sections),
    "qwen3": Architecture(_NORMED),
    "qwen3moe": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE)),
    "qwen3vl": Architecture(_NORMED, readers.deep_stack),
    "qwen3vlmoe": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE), readers.deep_stack),
    "refact": Architecture(Decoder(has_rope=False)),
    "rnd1": Architecture(replace(_NO_CACHE, head_norm="rms", mixture=_MOE_CACHE), is_causal=False),
    "seed_oss": Architecture(_PLAIN),
    "smollm3": Architecture(_PLAIN, readers.no_rope_in_fourth),
    "stablelm": Architecture(_stablelm),
    "starcoder": Architecture(_GPT2),
    "starcoder2": Architecture(Decoder(norm="layer", ffn="plain")),
    "xverse": Architecture(_PLAIN),
    "arctic": Architecture(_PLAIN, kind=Arctic),
    "bert": Architecture(replace(_BERT, has_position_table=True), kind=Bert, is_causal=False),
    "deepseek2": Architecture(_DEEPSEEK2, readers.latent),
    "gemma3n": Architecture(_PLAIN, readers.gemma3n, Gemma3n),
    "gemma4": Architecture(Decoder(mixture=gemma4_experts), readers.gemma4, Gemma4),
    "grok": Architecture(
        Decoder(has_post_norms=True, scales_embedding=True, logit_changes=4), kind=Grok, has_flash_attention=False
    ),
    "grovemoe": Architecture(Decoder(head_norm="rms", mixture=_MOE_CACHE), kind=Grove),
    "jina-bert-v2": Architecture(replace(_BERT, ffn="gated"), kind=Bert, is_causal=False),
    "jina-bert-v3": Architecture(replace(_BERT, has_rope=True, is_fused=True), kind=Bert, is_causal=False),
    "minicpm3": Architecture(
        Decoder(attention=whole_attention, scales_embedding=True, scales_residual=True, scales_before_logits=True)
    ),
    "mistral4": Architecture(_DEEPSEEK2, readers.latent),
    "nomic-bert": Architecture(replace(_BERT, ffn="gated", has_rope=True, is_fused=True), kind=Bert, is_causal=False),
    "nomic-bert-moe": Architecture(
        replace(_BERT, has_rope=True, is_fused=True, mixture=every_second_experts), kind=Bert, is_causal=False
    ),
    "talkie": Architecture(_PLAIN, kind=Talkie),
    "falcon-h1": Architecture(_PLAIN, kind=FalconH1, state=lambda h: h.layers * ssm_state(h)),
    "granitehybrid": Architecture(
        _scaled(Decoder(mixture=experts("", shared="key"))), readers.granite_hybrid, Mamba2, readers.ssm_states
    ),
    "jamba": Architecture(
        Decoder(has_rope=False, residual_first="always", mixture=experts("", norms=False)),
        readers.no_heads_recur,
        Mamba,
        readers.ssm_states,
    ),
    "lfm2": Architecture(
        Decoder(head_norm="rms", residual_first="always"), readers.lfm2, ShortConvolution, readers.short_states
    ),
    "lfm2moe": Architecture(
        Decoder(head_norm="rms", residual_first="always", mixture=experts(gating_key="sigmoid", has_bias=True)),
        readers.lfm2,
        ShortConvolution,
        readers.short_states,
    ),
    "mamba": Architecture(_PLAIN, readers.all_recur, Alone, readers.ssm_states, keeps_cache=False),
    "mamba2": Architecture(_PLAIN, readers.all_recur, Alone2, readers.ssm_states),
    "nemotron_h": Architecture(
        Decoder(has_rope=False, keeps="after the norm"), readers.nemotron_h, NemotronH, readers.ssm_states
    ),
    "nemotron_h_moe": Architecture(
        Decoder(
            has_rope=False,
            keeps="after the norm",
            mixture=experts(
                shared="key", gating="sigmoid", norms_key=True, has_bias=True, kind="squared", divided=True
            ),
        ),
        readers.nemotron_h,
        NemotronH,
        readers.ssm_states,
    ),
    "plamo2": Architecture(
        Decoder(head_norm="rms", ffn="joint", is_fused=True, has_post_norms=True),
        readers.no_heads_recur,
        Plamo2,
        readers.ssm_states,
    ),
    "qwen35": Architecture(Decoder(keeps="after the norm"), readers.qwen35, DeltaNet, readers.ssm_states),
    "qwen35moe": Architecture(
        Decoder(keeps="after the norm", mixture=experts(shared="key or dense", shared_gate=True, divided=True)),
        readers.qwen35,
        DeltaNet,
        readers.ssm_states,
    ),
    "qwen3next": Architecture(
        Decoder(keeps="after the norm", mixture=experts(shared="key or dense", shared_gate=True, divided=True)),
        readers.every_recurs,
        DeltaNetNext,
        readers.ssm_states,
    ),
    "cohere2moe": Architecture(
        Decoder(
            norm="layer",
            beside="one norm",
            residual_first="last",
            logit_changes=1,
            keeps="after the norm",
            mixture=experts(shared="key or count", gating_key="sigmoid", norms_key=True),
        ),
        readers.cohere2moe,
    ),
    "deepseek2-ocr": Architecture(
        Decoder(mixture=experts(shared="count", gating_key="softmax", norms_key=True, has_bias=True))
    ),
    "gpt-oss": Architecture(
        Decoder(keeps="before the norm", mixture=experts(kind="biased", gating="chosen", norms=False)),
        readers.gpt_oss,
    ),
    "granite_swa": Architecture(_scaled(Decoder(mixture=experts("", shared="key"))), readers.listed_window()),
    "hy_v3": Architecture(
        Decoder(
            head_norm="rms",
            keeps="after the norm",
            mixture=experts(shared="key or one", gating_key="sigmoid", norms_key=True, has_bias=True, divided=True),
        )
    ),
    "laguna": Architecture(
        Decoder(
            head_norm="rms",
            gates_attention=True,
            mixture=experts(shared="key or count", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        readers.window(4, dense_first=True),
    ),
    "maple": Architecture(
        Decoder(head_norm="rms", mixture=experts()), readers.rope_in_windows(readers.listed_window())
    ),
    "mimo2": Architecture(Decoder(mixture=experts(gating="sigmoid", has_bias=True)), readers.listed_window()),
    "muse-glimmer": Architecture(
        Decoder(head_norm="rms", normalises_embedding=True, gates_attention=True, has_post_norms=True, logit_changes=1),
        readers.rope_in_windows(readers.listed_window(4)),
    ),
    "nanbeige": Architecture(_PLAIN),
    "plamo3": Architecture(
        Decoder(head_norm="rms", ffn="joint", is_fused=True, has_post_norms=True), readers.window(8)
    ),
    "smallthinker": Architecture(
        Decoder(routes_residual=True, mixture=experts(gating_key="softmax")), readers.smallthinker
    ),
    "spark2_5": Architecture(Decoder(gates_attention=True, gates_heads=True), readers.listed_window()),
    "step35": Architecture(
        Decoder(
            head_norm="rms",
            gates_attention=True,
            gates_heads=True,
            keeps="before the norm",
            mixture=experts(shared="key", gating_key="sigmoid", norms_key=True, has_bias=True),
        ),
        readers.listed_window(),
    ),
}
