"""Graphs of architectures that have little in common with the others (src/models, b10970)."""

from __future__ import annotations

from dataclasses import replace

from ollama_provider.ollama.memory.graphs.decoders import Transformer
from ollama_provider.ollama.memory.graphs.experts import Experts
from ollama_provider.ollama.memory.graphs.graph import Tensor


class Bert(Transformer):
    """bert and its kin: norms after the sums, and no cache."""

    def build(self, layers: list[int]) -> Transformer:
        h, form = self.h, self.form
        a = self.embed()
        if h.has("token_types.weight", True):
            a = self.like(a)
        if form.has_position_table:
            a = self.like(self.new(a.ne, self.positions), a)
        a = self.layer_norm(a)
        for layer in layers:
            a = self._layer(a, layer, is_last=layer == layers[-1])
        self.finish(a, has_logits=False)
        return self

    def _layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        h, form = self.h, self.form
        q, k, v = self.qkv(a, layer, is_fused=h.has(f"blk.{layer}.attn_qkv.weight", form.is_fused))
        if h.has(f"blk.{layer}.attn_q_norm.weight", False):
            q, k = self._normed(q), self._normed(k)
        if form.has_rope:
            q, k = self.rope(q), self.rope(k)
        attended = self.attend(q, k, v, layer)
        if is_last:
            attended, a = self.at_outputs(attended, a)
        found = self.layer_norm(self.like(attended, a))
        if h.has(f"blk.{layer}.attn_norm_2.weight", False):
            found = self.layer_norm(self.like(found, a))
        return self.layer_norm(self.like(self._feed(found, layer), found))

    def _normed(self, a: Tensor) -> Tensor:
        length, heads, tokens, _ = a.ne
        return self.reshape(self.layer_norm(self.reshape(a, length * heads, tokens)), length, heads, tokens)

    def _feed(self, a: Tensor, layer: int) -> Tensor:
        h, kind = self.h, self.form.ffn
        experts = self.form.mixture(h, layer) if self.form.mixture is not None else None
        if experts is not None:
            return self.mix(a, layer, experts)
        if h.architecture == "jina-bert-v2" and not h.has(f"blk.{layer}.ffn_gate.weight", True):
            kind = "joint" if h.rows(f"blk.{layer}.ffn_up.weight", 0) != h.inner[layer] else "plain"
        return self.ffn(a, h.inner[layer], kind)


class Arctic(Transformer):
    """A dense block as wide as the model, and experts beside it that read what the attention read."""

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        h, attended = self.h, self.attention(self.rms(a), layer)
        if is_last:
            attended, a = self.at_outputs(attended, a)
        joined = self.like(attended, a)
        dense = self.like(self.ffn(self.rms(joined), h.width, "gated"), joined)
        return self.like(self.moe(self.rms(a), layer, Experts(h.inner[layer])), dense)


class Grok(Transformer):
    def feed(self, normed: Tensor, layer: int, logits: Tensor | None = None) -> Tensor:
        h = self.h
        inner = h.by_layer("expert_feed_forward_length", 0)[layer] or h.inner[layer]
        mixed = self.moe(normed, layer, Experts(inner))
        if not h.has(f"blk.{layer}.ffn_up.weight", False):
            return mixed
        return self.like(self.like(self.ffn(normed, h.inner[layer], "gated"), mixed))


class Grove(Transformer):
    """Experts, and after them others of groups of them, chosen by the same router."""

    def mix(self, normed: Tensor, layer: int, experts: Experts, logits: Tensor | None = None) -> Tensor:
        h = self.h
        logits = self.matmul(h.experts, normed)
        first = self.moe(normed, layer, replace(experts, chooses_by="sigmoid"), logits=logits)
        others = Experts(h.number("expert_chunk_feed_forward_length"), chooses_by="groups")
        used = min(h.experts // h.positive("experts_per_group"), h.used[layer])
        second = self.moe(first, layer, others, logits=logits, used=used)
        return self.like(first, self.like(second))


class Talkie(Transformer):
    """Each layer adds the embedding once more."""

    def build(self, layers: list[int]) -> Transformer:
        a = skip = self.like(self.embed())
        for layer in layers:
            normed = self.like(a)
            q, k, v = self.qkv(normed, layer, is_fused=False)
            attended = self.attend(self.rms(self.rope(q)), self.like(self.rope(k)), v, layer)
            rest = skip
            if layer == layers[-1]:
                attended, a, rest = self.at_outputs(attended, a, skip)
            joined = self.like(attended, a)
            fed = self.like(self.ffn(self.like(joined), self.h.inner[layer], "gated"), joined)
            a = self.like(fed, self.like(rest))
        self.finish(self.like(a), changes=1)
        return self
