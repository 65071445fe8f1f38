"""A llama in PyTorch, eager, on one thread."""

from typing import Any

import torch
from torch.nn.functional import linear, silu

from benchmarks.toolchains.weights import PARTS, Floats, Weights, causal, rotation

VERSION = str(torch.__version__)
torch.set_num_threads(1)
torch.set_num_interop_threads(1)


class Llama:
    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.tensors = {name: torch.from_numpy(array) for name, array in weights.tensors()}

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def forward(self, tokens: list[int], first: int, past: Any) -> tuple[Floats, Any]:
        """As numpy_llama's."""
        count, w, tensors = len(tokens), self.weights, self.tensors
        cosines, sines = map(torch.from_numpy, rotation(first, count, w.head_width))
        mask, now = torch.from_numpy(causal(first, count)), []
        x = tensors["token_embd.weight"][tokens]
        for layer in range(w.layers):
            of = {part: tensors[f"blk.{layer}.{part}.weight"] for part in PARTS}
            normed = self.norm(of["attn_norm"], x)
            q, k, v = (linear(normed, of[f"attn_{part}"]).view(count, -1, w.head_width) for part in "qkv")
            q, k = rotated(q, cosines, sines), rotated(k, cosines, sines)
            if past:
                k, v = torch.cat((past[layer][0], k)), torch.cat((past[layer][1], v))
            now.append((k, v))
            q = q.view(count, w.kv_heads, -1, w.head_width)  # heads that share a key stand together
            scores = torch.einsum("nkgd,mkd->kgnm", q, k) * w.head_width**-0.5 + mask
            seen = torch.einsum("kgnm,mkd->nkgd", torch.softmax(scores, -1), v).reshape(count, w.width)
            x = x + linear(seen, of["attn_output"])
            normed = self.norm(of["ffn_norm"], x)
            x = x + linear(silu(linear(normed, of["ffn_gate"])) * linear(normed, of["ffn_up"]), of["ffn_down"])
        logits = linear(self.norm(tensors["output_norm.weight"], x[-1]), tensors["output.weight"])
        return logits.numpy(), now

    def norm(self, weight: Any, x: Any) -> Any:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.weights.epsilon) * weight


def rotated(x: Any, cosines: Any, sines: Any) -> Any:
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosines - odd * sines, even * sines + odd * cosines), -1).view(x.shape)


def release() -> None:
    """Nothing besides the collection that the child does: on a CPU PyTorch has no pool of its own to empty."""
