"""Attention with keys and values of a low rank (src/models/deepseek2.cpp, minicpm3.cpp, b10970)."""

from __future__ import annotations

from ollama_provider.ollama.memory.graphs.decoders import Transformer
from ollama_provider.ollama.memory.graphs.graph import Tensor


def latent_attention(self: Transformer, normed: Tensor, layer: int) -> Tensor:
    """deepseek2: keys and values are kept as they are at the low rank, or, in older files, worked out and kept."""
    h, tokens = self.h, self.tokens
    key = h.number("attention.key_length_mla", 0) or h.key[layer]
    value = h.number("attention.value_length_mla", 0) or h.value[layer]
    heads, low, turned = h.heads[layer], h.number("attention.kv_lora_rank"), h.rotated
    q = _queries(self, normed, layer, key)
    both = self.matmul(low + turned, normed)
    k_pe = self.rope(self.view(both, turned, 1, tokens))
    compressed = self.rms(self.view(both, low, tokens))
    if h.is_latent:
        q_pe = self.rope(self.view(q, turned, heads, tokens))
        plain = self.matmul(low, self.permute(self.view(q, key - turned, heads, tokens), 0, 2, 1, 3))
        q = self.concat(self.permute(plain, 0, 2, 1, 3), q_pe, 0)
        v = self.reshape(compressed, low, 1, tokens)
        k = self.concat(v, k_pe, 0)
        if h.weighs_positions:
            q = self.like(q, self.position_scale)
        for part in (q, v, k):
            self.expand(part)
        self.keep_key(k, False)
        found = self.cached(q, self.r.cells, low, layer, rows_after=value)
        return self.matmul(h.width, found)
    q, k, v = _whole(self, q, k_pe, compressed, layer, key, value)
    if h.weighs_positions:
        q = self.like(q, self.position_scale)
    return self.attend(q, k, v, layer)


def whole_attention(self: Transformer, normed: Tensor, layer: int) -> Tensor:
    """minicpm3: keys and values are of a low rank in the weights alone."""
    h, tokens = self.h, self.tokens
    low, turned = h.number("attention.kv_lora_rank"), h.rotated
    q = _queries(self, normed, layer, h.key[layer])
    both = self.matmul(low + turned, normed)
    compressed = self.rms(self.view(both, low, tokens))
    k_pe = self.rope(self.view(both, turned, 1, tokens))
    q, k, v = _whole(self, q, k_pe, compressed, layer, h.key[layer], h.value[layer])
    return self.attend(q, k, v, layer)


def _queries(self: Transformer, normed: Tensor, layer: int, key: int) -> Tensor:
    rank, heads, turned = self.h.number("attention.q_lora_rank", 0), self.h.heads[layer], self.h.rotated
    if turned > key:
        raise ValueError(
            f"{self.h.architecture}.rope.dimension_count is {turned} in the model's metadata, expected up to the {key}"
            " of a head's key"
        )
    if rank and not self.h.has(f"blk.{layer}.attn_q.weight", False):
        normed = self.rms(self.matmul(rank, normed))
    return self.reshape(self.matmul(key * heads, normed), key, heads, self.tokens)


def _whole(
    self: Transformer, q: Tensor, k_pe: Tensor, compressed: Tensor, layer: int, key: int, value: int
) -> tuple[Tensor, Tensor, Tensor]:
    tokens, heads, turned = self.tokens, self.h.heads[layer], self.h.rotated
    both = self.matmul(heads * (key - turned + value), compressed)
    v = self.cont(self.view(both, value, heads, tokens))
    plain = self.view(both, key - turned, heads, tokens)
    k = self.concat(plain, self.new((turned, heads, tokens), k_pe), 0)
    return self.rope(q), k, v
