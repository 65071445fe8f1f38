"""A llama's weights where they lie in its GGUF file, and what of a forward pass depends on positions alone.

It needs nothing but numpy: it runs where PyTorch or TensorFlow is, and this project is not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

PARTS = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down".split()
ROPE_BASE = 10000.0  # what llama.cpp takes where the file has no llama.rope.freq_base


class Weights(NamedTuple):
    """`places` has, for each tensor of f32, the byte where it begins in `file`, then its shape, rows first."""

    file: str
    layers: int
    heads: int
    kv_heads: int
    width: int
    epsilon: float
    places: Mapping[str, Sequence[int]]

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    def tensors(self) -> Iterator[tuple[str, Floats]]:
        """One after the other, so that no more than one is in memory twice while another library takes it over."""
        for name, (begin, *shape) in self.places.items():
            yield name, np.fromfile(self.file, "<f4", int(np.prod(shape)), offset=begin).reshape(shape)


def rotation(first: int, count: int, head_width: int) -> tuple[Floats, Floats]:
    """Cosines and sines, [count, 1, head_width / 2], of positions from `first` on.

    A GGUF of the architecture llama has its heads in the order in which neighbours are the pairs that are rotated
    (llama.cpp: LLAMA_ROPE_TYPE_NORM), not the two halves, as other formats have them.
    """
    frequencies = ROPE_BASE ** (-np.arange(0, head_width, 2) / head_width)
    angles = np.arange(first, first + count)[:, None, None] * frequencies
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def causal(first: int, count: int) -> Floats:
    """What is added to the scores, [count, first + count]: 0 where a position may look, -inf where it is later."""
    mask: Floats = np.triu(np.full((count, first + count), -np.inf, dtype=np.float32), k=first + 1)
    return mask
