"""Graphs of transformers: one form with options, which most architectures of llama.cpp share (src/models, b10970)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ollama_provider.ollama.memory.graphs.blocks import Reserve
from ollama_provider.ollama.memory.graphs.experts import Experts, Mixtures
from ollama_provider.ollama.memory.graphs.graph import Tensor
from ollama_provider.ollama.memory.hparams import Hparams


@dataclass(frozen=True)
class Decoder:
    """`norm` is "rms" or "layer"; `head_norm` "rms" or "layer" of each head, "flat" of all heads at once, or none.

    `beside` says how the feed-forward block stands to the attention: "" after it; "one norm" beside it, of the same
    normed input; "own norm" beside it, with a norm of its own; "after, one norm" after it, of the same normed input.
    `residual_first`: in which of the two sums the residual stands first, "", "first", "last" or "always"; or
    "attended", what a block beside another one attended to.
    `keeps`: what is kept of all tokens for a draft, before the outputs are picked.
    """

    norm: str = "rms"
    ffn: str = "gated"
    beside: str = ""
    head_norm: str = ""
    is_fused: bool = False
    has_rope: bool = True
    has_cache: bool = True
    has_norms_before: bool = True
    has_post_norms: bool = False
    gates_attention: bool = False
    gates_heads: bool = False
    has_sub_norms: bool = False
    softcaps: bool = False
    scales_queries: bool = False
    weighs_queries: bool = False
    routes_residual: bool = False
    has_position_table: bool = False
    scales_embedding: bool = False
    normalises_embedding: bool = False
    scales_residual: bool = False
    residual_first: str = ""
    picks_outputs: bool = True
    keeps: str = ""
    has_output_norm: bool = True
    has_logits: bool = True
    logit_changes: int = 0
    scales_before_logits: bool = False
    mixture: Callable[[Hparams, int], Experts | None] | None = None
    attention: Callable[[Transformer, Tensor, int], Tensor] | None = None


class Transformer(Mixtures):
    def __init__(self, hparams: Hparams, reserve: Reserve, form: Decoder) -> None:
        super().__init__(hparams, reserve)
        self.form = form
        self.has_cache = form.has_cache

    def build(self, layers: list[int]) -> Transformer:
        """The whole graph, with the layers of that list."""
        form = self.form
        h = self.h
        a = self.embed(h.width * (1 + h.deep_stack))
        if form.scales_embedding:
            a = self.like(a)
        if form.has_position_table:
            a = self.like(a, self.new(a.ne, self.positions))
        if form.normalises_embedding:
            a = self.norm(a)
        for layer in layers:
            a = self.layer(a, layer, is_last=layer == layers[-1] and form.picks_outputs and not form.keeps)
            if layer < h.deep_stack and self.embedding is not None:
                a = self.like(a, self.view(self.embedding, h.width, self.tokens))
        if form.keeps == "before the norm":
            a.is_output = True
            (a,) = self.at_outputs(a)
        if form.has_output_norm:
            a = self.norm(a)
        if form.keeps == "after the norm":
            a.is_output = True
            (a,) = self.at_outputs(a)
        self.finish(a, has_logits=form.has_logits, changes=form.logit_changes, scales=form.scales_before_logits)
        return self

    def norm(self, a: Tensor) -> Tensor:
        return self.layer_norm(a) if self.form.norm == "layer" else self.rms(a)

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        form = self.form
        logits = self.matmul(self.h.experts, a) if form.routes_residual else None
        normed = self.norm(a) if form.has_norms_before else a
        attended = self.attention(normed, layer)
        if form.beside == "own norm":
            if is_last:
                attended, a = self.at_outputs(attended, a)
            return self.like(self.like(self.feed(self.norm(a), layer), a), attended)
        if form.beside == "one norm":
            if is_last:
                attended, a, normed = self.at_outputs(attended, a, normed)
            if form.residual_first == "attended":
                return self.like(self.like(attended, self.feed(normed, layer)), a)
            first, second = (a, attended) if form.residual_first else (attended, a)
            return self.like(self.like(self.feed(normed, layer), first), second)
        if is_last:
            attended, a = self.at_outputs(attended, a)
            if form.beside:
                (normed,) = self.at_outputs(normed)
            if logits is not None:
                (logits,) = self.at_outputs(logits)
        if form.has_post_norms:
            attended = self.norm(attended)
        if form.scales_residual:
            attended = self.like(attended)
        joined = self.like(a, attended) if form.residual_first in ("first", "always") else self.like(attended, a)
        if not form.beside:
            normed = self.norm(joined) if form.has_norms_before else joined
        fed = self.feed(normed, layer, logits)
        if form.has_post_norms:
            fed = self.norm(fed)
        if form.scales_residual:
            fed = self.like(fed)
        return self.like(joined, fed) if form.residual_first in ("last", "always") else self.like(fed, joined)

    def attention(self, normed: Tensor, layer: int) -> Tensor:
        form = self.form
        if form.attention is not None:
            return form.attention(self, normed, layer)
        q, k, v = self.heads(normed, layer)
        if form.scales_queries:
            q = self.like(q)
        if not (form.gates_attention or form.has_sub_norms):
            return self.attend(q, k, v, layer, softcaps=form.softcaps)
        found = self.attend(q, k, v, layer, output=0)
        if form.gates_attention:
            heads = self.h.heads[layer]
            if form.gates_heads or self.h.rows(f"blk.{layer}.attn_gate.weight", 0) == heads:
                gate = self.reshape(self.like(self.matmul(heads, normed)), 1, heads, self.tokens)
                by_head = self.like(self.reshape(found, found.ne[0] // heads, heads, self.tokens), gate)
                found = self.reshape(by_head, found.ne[0], self.tokens)
            else:
                found = self.like(found, self.like(self.matmul(found.ne[0], normed)))
        if form.has_sub_norms:
            found = self.norm(found)
        return self.matmul(self.h.width, found)

    def heads(self, normed: Tensor, layer: int) -> list[Tensor]:
        """Queries, keys and values, the first two normed and turned by their positions where the form has it."""
        form = self.form
        is_flat = form.head_norm == "flat"
        is_fused = self.h.has(f"blk.{layer}.attn_qkv.weight", form.is_fused)
        q, k, v = self.qkv(normed, layer, is_fused=is_fused, is_flat=is_flat)
        if form.head_norm in ("rms", "flat"):
            q, k = self.rms(q), self.rms(k)
        elif form.head_norm:
            q, k = self.layer_norm(q), self.layer_norm(k)
        if is_flat:
            h = self.h
            q = self.reshape(q, h.key[layer], h.heads[layer], self.tokens)
            k = self.reshape(k, h.key[layer], h.kv_heads[layer], self.tokens)
            v = self.reshape(v, h.value[layer], h.kv_heads[layer], self.tokens)
        if form.has_rope and self.h.has_rope[layer]:
            q, k = self.rope(q), self.rope(k)
        elif form.weighs_queries:
            q = self.like(q, self.position_scale)
        return [q, k, v]

    def feed(self, normed: Tensor, layer: int, logits: Tensor | None = None) -> Tensor:
        form, h = self.form, self.h
        experts = form.mixture(h, layer) if form.mixture is not None else None
        if experts is not None:
            return self.mix(normed, layer, experts, logits)
        if form.has_sub_norms:
            inner = self.norm(self.ffn(normed, h.inner[layer], form.ffn, output=-1))
            return self.matmul(h.width, inner)
        return self.ffn(normed, h.inner[layer], form.ffn)

    def mix(self, normed: Tensor, layer: int, experts: Experts, logits: Tensor | None = None) -> Tensor:
        def shared() -> Tensor:
            found = self.ffn(normed, experts.shared, "squared" if experts.kind == "squared" else "gated")
            if experts.shared_gate:
                found = self.like(found, self.like(self.like(self.matmul(1, normed))))
            return found

        mixed = self.moe(normed, layer, experts, logits=logits)
        if not experts.shared:
            return mixed
        return self.like(mixed, shared())
