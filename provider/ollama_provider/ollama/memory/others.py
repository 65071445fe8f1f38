"""Graphs of architectures that have little in common with the others (src/models, b10970)."""

from __future__ import annotations

from ollama_provider.ollama.memory.decoders import Experts, Transformer
from ollama_provider.ollama.memory.graph import Tensor


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
    """A dense block, and experts beside it that read what the attention read."""

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        h, attended = self.h, self.attention(self.rms(a), layer)
        if is_last:
            attended, a = self.at_outputs(attended, a)
        joined = self.like(attended, a)
        dense = self.like(self.ffn(self.rms(joined), h.inner[layer], "gated"), joined)
        return self.like(self.moe(self.rms(a), layer, h.inner[layer]), dense)


class Grok(Transformer):
    def feed(self, normed: Tensor, layer: int, logits: Tensor | None = None) -> Tensor:
        h = self.h
        inner = h.by_layer("expert_feed_forward_length", 0)[layer] or h.inner[layer]
        mixed = self.moe(normed, layer, inner)
        if not h.has(f"blk.{layer}.ffn_up.weight", False):
            return mixed
        return self.like(self.like(self.ffn(normed, h.inner[layer], "gated"), mixed))


class Grove(Transformer):
    """Experts, and after them others of groups of them, chosen by the same router."""

    def mix(self, normed: Tensor, layer: int, experts: Experts, logits: Tensor | None = None) -> Tensor:
        h = self.h
        logits = self.matmul(h.experts, normed)
        first = self.moe(normed, layer, experts.inner, logits=logits, picks_again=True)
        groups = h.experts // h.number("experts_per_group")
        second = self.moe(
            first, layer, h.number("expert_chunk_feed_forward_length"), logits=logits,
            used=min(groups, h.used[layer]), picks_again=True, groups_choice=True,
        )  # fmt: skip
        return self.like(first, self.like(second))


class Deci(Transformer):
    """Layers without attention, with a matrix in its place, or without a feed-forward block."""

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        h = self.h
        heads, kv_heads, inner = h.heads[layer], h.kv_heads[layer], h.inner[layer]
        if not heads:
            found = a
        elif not kv_heads:
            found = self.matmul(h.width, self.rms(a))
        else:
            found = self.attention(self.rms(a), layer)
        if is_last:
            found, rest = self.at_outputs(found, a)
        else:
            rest = a
        if not inner:
            return a
        joined = self.like(found, rest) if heads else found
        return self.like(self.ffn(self.rms(joined), inner, "gated"), joined)


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


class Chameleon(Transformer):
    """Norms before the blocks or after them; logits of pictures are taken out in another copy."""

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        h, swaps = self.h, bool(self.h.get("swin_norm", False))
        q, k, v = self.qkv(a if swaps else self.rms(a), layer, is_fused=False)
        if h.has(f"blk.{layer}.attn_q_norm.weight", True):
            q, k = self.layer_norm(q), self.layer_norm(k)
        attended = self.attend(self.rope(q), self.rope(k), v, layer)
        if is_last:
            attended, a = self.at_outputs(attended, a)
        joined = self.like(self.rms(attended) if swaps else attended, a)
        fed = self.ffn(joined if swaps else self.rms(joined), h.inner[layer], "gated")
        return self.like(self.rms(fed) if swaps else fed, joined)

    def finish(self, a: Tensor, *, has_logits: bool = True, changes: int = 0, rows: int = 0) -> None:
        a.is_output = True
        logits = self.copy_like(self.matmul(self.h.vocabulary, a))
        logits.is_output = True
        self.expand(logits)
