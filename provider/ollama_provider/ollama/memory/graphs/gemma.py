"""Graphs of gemma3n and gemma4, whose layers have inputs of their own (src/models/gemma3n.cpp, gemma4.cpp, b10970)."""

from __future__ import annotations

from typing import Final

from ollama_provider.ollama.memory.graphs.decoders import Transformer
from ollama_provider.ollama.memory.graphs.graph import I32, Tensor

_PREDICTIONS: Final = 4  # n_altup
_LOW_RANK: Final = 64  # laurel_rank
_LAYER_INPUT: Final = 256  # n_embd_altup
_SPARSE_LAYERS: Final = 10  # n_layer_sparsity


class LayerInputs(Transformer):
    """An input for each layer, of a table of its own and of the embedding."""

    def layer_inputs(self, a: Tensor, width: int) -> Tensor:
        layers, tokens = self.h.layers, self.tokens
        own = self.new((width * layers, tokens), self.input(tokens, item=I32))
        own = self.like(self.reshape(own, width, layers, tokens))
        self.expand(own)
        found = self.like(self.matmul(width * layers, a))
        found = self.rms(self.reshape(found, width, layers, tokens))
        return self.cont(self.permute(self.like(self.like(found, own)), 0, 2, 1, 3))

    def slice(self, a: Tensor) -> Tensor:
        return self.view(a, a.ne[0], a.ne[1], is_plain=True)


class Gemma4(LayerInputs):
    def build(self, layers: list[int]) -> Transformer:
        h = self.h
        a = self.like(self.embed())
        width = h.number("embedding_length_per_layer_input", 0)
        inputs = self.layer_inputs(a, width) if width else None
        for layer in layers:
            a = self._layer(a, inputs, layer)
        a = self.rms(a)
        a.is_output = True
        (a,) = self.at_outputs(a)
        self.finish(a, changes=3 if h.real("final_logit_softcapping") else 0)
        return self

    def _layer(self, a: Tensor, inputs: Tensor | None, layer: int) -> Tensor:
        h = self.h
        attended = self.rms(self._attention(self.rms(a), layer))
        joined = self.like(attended, a)
        experts = self.form.mixture(h, layer) if self.form.mixture is not None else None
        if experts is None:
            fed = self.ffn(self.rms(joined), h.inner[layer], "gated")
        else:
            dense = self.rms(self.ffn(self.rms(joined), h.inner[layer], "gated"))
            mixed = self.rms(joined)
            logits = self.matmul(h.experts, self.like(self.like(self.like(joined))))
            mixed = self.moe(mixed, layer, experts, logits=logits)
            fed = self.like(dense, self.rms(mixed))
        found = self.like(self.rms(fed), joined)
        if inputs is not None:
            gate = self.like(self.matmul(inputs.ne[0], found))
            gate = self.like(gate, self.slice(inputs))
            found = self.like(found, self.rms(self.matmul(h.width, gate)))
        return self.like(found)

    def _attention(self, normed: Tensor, layer: int) -> Tensor:
        h = self.h
        heads, kv_heads, length = h.heads[layer], h.kv_heads[layer], h.key[layer]
        joint = None
        if h.has(f"blk.{layer}.attn_qkv.weight", False):
            joint = self.matmul(length * (heads + 2 * kv_heads), normed)
            q = self.cont(self.view(joint, length * heads, self.tokens))
        else:
            q = self.matmul(length * heads, normed)
        q = self.rope(self.rms(self.reshape(q, length, heads, self.tokens)))
        if not h.has_cache[layer]:
            return self.attend(q, None, None, layer)
        if joint is not None:
            k, v = (self.cont(self.view(joint, length * kv_heads, self.tokens)) for _ in range(2))
        else:
            k = self.matmul(length * kv_heads, normed)
            v = self.matmul(length * kv_heads, normed) if h.has(f"blk.{layer}.attn_v.weight", True) else k
        k = self.reshape(k, length, kv_heads, self.tokens)
        v = self.reshape(v, length, kv_heads, self.tokens)
        return self.attend(q, self.rope(self.rms(k)), self.like(v), layer)


class Gemma3n(LayerInputs):
    """Four predictions of each layer's result, one of which is worked out and corrects the others."""

    def build(self, layers: list[int]) -> Transformer:
        h, tokens = self.h, self.tokens
        a = self.like(self.embed())
        inputs = self.layer_inputs(a, _LAYER_INPUT)
        rest = _PREDICTIONS - 1
        target = self._magnitude(a)
        added = self.matmul(h.width, self.new((h.width, tokens, rest), a))
        added = self.like(self.like(added, target), self._magnitude(added))
        a = self.concat(a, added, 2)
        for layer in layers:
            a = self._layer(a, inputs, layer)
        target = self._magnitude(self.slice(a))
        others = self.matmul(h.width, self.view(a, h.width, tokens, rest, is_plain=True))
        others = self.like(self.like(others, target), self._magnitude(others))
        found = self.slice(a)
        for _ in range(rest):
            found = self.like(found, self.slice(others))
        (found,) = self.at_outputs(self.like(found))
        self.finish(self.rms(found), changes=3)
        return self

    def _magnitude(self, a: Tensor) -> Tensor:
        return self.like(self.new((1, *a.ne[1:]), self.like(a)))

    def _router(self, a: Tensor) -> Tensor:
        return self.like(self.matmul(_PREDICTIONS, self.like(self.rms(a))))

    def _predict(self, a: Tensor) -> Tensor:
        factors = self.matmul(_PREDICTIONS**2, self._router(self.slice(a)))
        factors = self.reshape(factors, _PREDICTIONS, _PREDICTIONS, self.tokens)
        turned = self.cont(self.permute(a, 1, 2, 0, 3))
        found = self.product(turned, factors)
        return self.like(self.cont(self.permute(found, 0, 2, 1, 3)), a)

    def _correct(self, predictions: Tensor, activated: Tensor) -> Tensor:
        factors = self.like(self.matmul(_PREDICTIONS, self._router(activated)))
        news = self.like(activated, self.slice(predictions))
        factors = self.cont(self.transpose(factors), 1, self.tokens, _PREDICTIONS)
        news = self.new((self.h.width, self.tokens, _PREDICTIONS), news)
        return self.like(self.like(news, factors), predictions)

    def _layer(self, a: Tensor, inputs: Tensor, layer: int) -> Tensor:
        width, tokens = self.h.width, self.tokens
        predictions = self._predict(a)
        active = self.slice(predictions)
        normed = self.rms(active)
        low = self.rms(self.matmul(width, self.matmul(_LOW_RANK, normed)))
        low = self.like(low, normed)
        attended = self.like(self.rms(self._attention(normed, layer)), active)
        joined = self.like(self.like(attended, low))
        fed = self._feed(self.rms(joined), layer)
        corrected = self._correct(predictions, self.like(self.rms(fed), joined))
        first = self.like(self.slice(corrected))
        first = self.like(self.matmul(_LAYER_INPUT, first))
        first = self.like(first, self.slice(inputs))
        first = self.rms(self.matmul(width, first))
        others = self.like(self.view(corrected, width, tokens, _PREDICTIONS - 1, is_plain=True), first)
        return self.concat(self.view(corrected, width, tokens, is_plain=True), others, 2)

    def _attention(self, normed: Tensor, layer: int) -> Tensor:
        h = self.h
        if not h.has_cache[layer]:
            q = self.reshape(
                self.matmul(h.key[layer] * h.heads[layer], normed), h.key[layer], h.heads[layer], self.tokens
            )
            return self.attend(self.rope(self.rms(q)), None, None, layer)
        q, k, v = self.qkv(normed, layer, is_fused=h.has(f"blk.{layer}.attn_qkv.weight", False))
        q, k, v = self.rms(q), self.rms(k), self.like(v)
        return self.attend(self.rope(q), self.rope(k), v, layer)

    def _feed(self, normed: Tensor, layer: int) -> Tensor:
        inner = self.h.inner[layer]
        up, gate = self.matmul(inner, normed), self.matmul(inner, normed)
        if layer < _SPARSE_LAYERS:
            mean = self.new((1, self.tokens), gate)
            squares = self.like(self.like(gate, mean))
            deviation = self.like(self.like(self.new((1, self.tokens), squares)))
            gate = self.like(self.like(gate, self.like(mean, self.like(deviation))))
        return self.matmul(self.h.width, self.like(up, self.like(gate)))
