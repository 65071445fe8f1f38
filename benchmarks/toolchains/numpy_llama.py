"""A llama in plain numpy: the reference that the tests run; the other two have the same lines in their own terms."""

from typing import Any

import numpy as np

from benchmarks.toolchains.weights import PARTS, Floats, Weights, causal, rotation

VERSION = np.__version__


class Llama:
    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.tensors = dict(weights.tensors())

    def forward(self, tokens: list[int], first: int, past: Any) -> tuple[Floats, Any]:
        """Logits of the last token; `past`, None at the start, has keys and values [positions, kv_heads, head]."""
        count, w, tensors = len(tokens), self.weights, self.tensors
        cosines, sines = rotation(first, count, w.head_width)
        mask, now = causal(first, count), []
        x = tensors["token_embd.weight"][tokens]
        for layer in range(w.layers):
            of = {part: tensors[f"blk.{layer}.{part}.weight"] for part in PARTS}
            normed = self.norm(of["attn_norm"], x)
            q, k, v = (linear(normed, of[f"attn_{part}"]).reshape(count, -1, w.head_width) for part in "qkv")
            q, k = rotated(q, cosines, sines), rotated(k, cosines, sines)
            if past:
                k, v = np.concatenate((past[layer][0], k)), np.concatenate((past[layer][1], v))
            now.append((k, v))
            grouped = q.reshape(count, w.kv_heads, -1, w.head_width)  # heads that share a key stand together
            scores = np.einsum("nkgd,mkd->kgnm", grouped, k) * w.head_width**-0.5 + mask
            seen = np.einsum("kgnm,mkd->nkgd", softmax(scores), v).reshape(count, w.width)
            x = x + linear(seen, of["attn_output"])
            normed = self.norm(of["ffn_norm"], x)
            x = x + linear(silu(linear(normed, of["ffn_gate"])) * linear(normed, of["ffn_up"]), of["ffn_down"])
        return linear(self.norm(tensors["output_norm.weight"], x[-1]), tensors["output.weight"]), now

    def norm(self, weight: Floats, x: Floats) -> Floats:
        scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(self.weights.epsilon))
        return x * scale * weight  # type: ignore[no-any-return]


def linear(x: Floats, weight: Floats) -> Floats:
    return x @ weight.T


def rotated(x: Floats, cosines: Floats, sines: Floats) -> Floats:
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack((even * cosines - odd * sines, even * sines + odd * cosines), axis=-1).reshape(x.shape)


def softmax(x: Floats) -> Floats:
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def silu(x: Floats) -> Floats:
    return x / (1 + np.exp(-x))  # type: ignore[no-any-return]


def release() -> None:
    """Nothing besides the collection that the child does."""
