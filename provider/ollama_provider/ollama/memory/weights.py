"""What of a GGUF's tensors and vocabulary comes into memory."""

from __future__ import annotations

from math import prod
from typing import Final

from ollama_provider.ollama.memory.graphs.architectures import ARCHITECTURES
from ollama_provider.ollama.memory.hparams import Hparams, Tensor, quoted

# Elements and bytes of a block of each type (ggml-common.h).
_BLOCKS: Final[dict[str, tuple[int, int]]] = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "F64": (1, 8), "I8": (1, 1), "I16": (1, 2), "I32": (1, 4),
    "I64": (1, 8), "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34),
    "Q8_1": (32, 36), "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176),
    "Q6_K": (256, 210), "Q8_K": (256, 292), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ2_S": (256, 82),
    "IQ3_XXS": (256, 98), "IQ3_S": (256, 110), "IQ1_S": (256, 50), "IQ1_M": (256, 56), "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136), "TQ1_0": (256, 54), "TQ2_0": (256, 66), "MXFP4": (32, 17), "NVFP4": (64, 36),
}  # fmt: skip
# Types whose matrices a CPU with AVX2 keeps in another order, in a buffer of their own (ggml-cpu/repack.cpp).
_REPACKED: Final = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
# Architectures that make room for a tied embedding once more, as the output (src/models).
_TWICE: Final = frozenset({"gemma3n", "gemma4"})
_ALIGNMENT: Final = 32
# Numbers of `general.file_type` whose weights are multiplied as F16, in blocks of 32 and as floats; else in Q8_K.
_HALVES, _BLOCKS_OF_32, _FLOATS = frozenset({1, 32}), frozenset({2, 3, 7, 8, 9, 25, 38}), frozenset({0})
_SPECIAL_TOKENS: Final = ("bos", "eos", "eot", "eom", "padding", "unknown", "separator", "mask")
_FEWEST_TOKENS, _MOST_TOKENS, _USUAL_TOKENS = 1_000, 300_000, 152_000


def size_of(tensor: Tensor) -> int:
    """Bytes in memory. Raises ValueError for a type that is not known."""
    if tensor.type not in _BLOCKS:
        name, kind = quoted(tensor.name), quoted(tensor.type)
        raise ValueError(f"the tensor {name} is of the type {kind}, expected one of {', '.join(_BLOCKS)}")
    elements, size = _BLOCKS[tensor.type]
    return -(-(prod(tensor.shape) // elements * size) // _ALIGNMENT) * _ALIGNMENT


def loaded_bytes(hparams: Hparams, file_bytes: int, embedding_bytes: int | None = None) -> int:
    """Of the tensors, where their list is known, else of the file.

    The layers of a draft are left out: llama.cpp loads them where Ollama asks for a draft, which it does for a model
    whose parameters say `draft_num_predict`. A tied embedding of a type that is kept in another order is there twice,
    and that of two architectures always.
    """
    is_twice = hparams.architecture in _TWICE
    if hparams.tensors is None:
        share = min(hparams.parameters, tokens_of(hparams) * hparams.width)
        average = file_bytes * share // hparams.parameters if hparams.parameters else 0
        return file_bytes + is_twice * (average if embedding_bytes is None else embedding_bytes)
    drafts = tuple(f"blk.{layer}." for layer in range(hparams.layers, hparams.layers_all))
    found = sum(size_of(one) for one in hparams.tensors.values() if not one.name.startswith(drafts))
    embedding = hparams.tensors.get("token_embd.weight")
    is_tied = "output.weight" not in hparams.tensors and known_to_tie(hparams)
    if embedding is None or not is_tied:
        return found
    is_repacked = embedding.type in _REPACKED and (embedding.rows or 1) % 8 == 0
    return found + (size_of(embedding) if is_repacked or is_twice else 0)


def known_to_tie(hparams: Hparams) -> bool:
    """Whether there are logits at all: a model that only embeds has no output to tie."""
    return hparams.pooling == 0


def bytes_of_32_factors(hparams: Hparams) -> int:
    """What the CPU makes of 32 floats before it multiplies them with weights (`vec_dot_type` in ggml-cpu.c)."""
    if hparams.tensors is not None:
        kinds = {one.type for one in hparams.tensors.values() if len(one.shape) > 1 and one.name.startswith("blk.")}
        if kinds & {"F16", "BF16"}:
            return 64
        return 37 if any(kind.endswith("_K") or kind.startswith("IQ") for kind in kinds) else 34
    number = hparams.file_type
    if number in _HALVES:
        return 64
    return 0 if number in _FLOATS else 34 if number in _BLOCKS_OF_32 else 37


def tokens_of(hparams: Hparams) -> int:
    """Of the vocabulary: where neither tensors nor keys tell, from the parameters that are not those of layers.

    They are one row a token, or two with an output of its own: special tokens are often the last ones, and tell which.
    """
    if hparams.vocabulary:
        return hparams.vocabulary
    rest = hparams.parameters - _layer_parameters(hparams)
    rows = round(rest / hparams.width)
    least = max(((hparams.special_token(name) or 0) + 1 for name in _SPECIAL_TOKENS), default=0)
    has_two = known_to_tie(hparams) and (rows > _MOST_TOKENS or rows // 3 < least <= rows // 2)
    tokens = rows // 2 if has_two else rows
    if not _FEWEST_TOKENS <= tokens <= _MOST_TOKENS:
        tokens = _USUAL_TOKENS
    return max(tokens, least)


def _layer_parameters(h: Hparams) -> int:
    """Elements of the matrices of layers that attend and feed forward, and of positions; of others about as many.

    A plain feed-forward network has two matrices, a gated one three.
    """
    architecture = ARCHITECTURES.get(h.architecture)
    form = None if architecture is None else architecture.form_of(h)
    matrices = 2 if form is not None and form.ffn == "plain" else 3
    found = h.trained_context * h.width if form is not None and form.has_position_table else 0
    experts, inner = max(1, h.experts), h.by_layer("expert_feed_forward_length", 0)
    for layer in range(h.layers_all):
        heads, kv_heads, key, value = h.heads[layer], h.kv_heads[layer], h.key[layer], h.value[layer]
        found += h.width * (heads * (key + value) + kv_heads * (key + value)) if kv_heads else 4 * h.width**2
        found += matrices * h.width * (experts * (inner[layer] or h.inner[layer]) if h.experts else h.inner[layer])
    return found
