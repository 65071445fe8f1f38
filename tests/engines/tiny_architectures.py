"""A small GGUF of each architecture whose memory is estimated: its weights are zeros, and Ollama loads and runs it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import gguf
import numpy as np

from tests.engines.tiny_models import finish
from tests.engines.vocabularies import byte_pairs, sentence_pieces, word_pieces

EMBEDDING = frozenset({"bert", "nomic-bert"})
_BYTE_PAIRS = frozenset({"qwen2", "qwen3", "qwen3moe", "lfm2"})
_NORMED_HEADS = frozenset({"qwen3", "qwen3moe", "gemma3", "lfm2"})
_GEMMA = frozenset({"gemma2", "gemma3"})


class Shape(NamedTuple):
    """Layers, widths in elements, and tokens. `window` is for gemma2, gemma3 and phi3 alone; experts are for qwen3moe,
    and llama, whose `inner` is then one expert's.

    Every third layer of lfm2 has attention, the others a short convolution. `key` is how long a head's keys and values
    are, 0: `width` by `heads`. `weights` is the type of the matrices by its name in GGUF; beside Q4_K, those of tokens
    are Q6_K, as in the usual Q4_K_M.
    """

    layers: int = 8
    width: int = 512
    inner: int = 1024
    heads: int = 8
    kv_heads: int = 2
    vocabulary: int = 1000
    context_length: int = 131072
    window: int = 1024
    has_output: bool = True
    experts: int = 0
    experts_used: int = 0
    key: int = 0
    weights: str = "F16"

    @property
    def head(self) -> int:
        return self.key or self.width // self.heads

    def has_attention(self, architecture: str, layer: int) -> bool:
        return architecture != "lfm2" or layer % 3 == 2


_DEFAULT = Shape()
_FILE_TYPES = {
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "BF16": gguf.LlamaFileType.MOSTLY_BF16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
    "Q4_K": gguf.LlamaFileType.MOSTLY_Q4_K_M,
}
WEIGHTS = tuple(_FILE_TYPES)


def write_architecture(path: Path, architecture: str, shape: Shape = _DEFAULT) -> str:
    """Write a GGUF and return "sha256:..." of the file.

    The weights are zeros: whatever is generated is the first token, and pages are as resident as any other's.
    Without `has_output` the embedding is the output too, as it is always in gemma2, gemma3 and the embedding models.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")  # the runner looks for special tokens by names such as phi3
    writer.add_file_type(_FILE_TYPES[shape.weights])
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_rope_dimension_count(shape.head)
    if architecture in EMBEDDING:
        _embedding_tensors(writer, architecture, shape)
        word_pieces(shape.vocabulary).add_to(writer)
        writer.add_token_type_count(2)
    else:
        kv_heads = [shape.kv_heads * shape.has_attention(architecture, layer) for layer in range(shape.layers)]
        writer.add_head_count_kv(kv_heads if architecture == "lfm2" else shape.kv_heads)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(10000.0)
        if architecture in (*_GEMMA, "phi3"):
            writer.add_sliding_window(shape.window)
        if shape.key or architecture in (*_GEMMA, *_NORMED_HEADS):
            writer.add_key_length(shape.head)
            writer.add_value_length(shape.head)
        if shape.experts:
            writer.add_expert_count(shape.experts)
            writer.add_expert_used_count(shape.experts_used)
        if architecture == "qwen3moe":
            writer.add_expert_feed_forward_length(shape.inner)
        if architecture == "granite":
            for add in (writer.add_logit_scale, writer.add_embedding_scale, writer.add_attention_scale):
                add(1.0)
            writer.add_residual_scale(1.0)
        if architecture == "lfm2":
            writer.add_shortconv_l_cache(3)
        if architecture == "gemma2":
            writer.add_attn_logit_softcapping(50.0)
            writer.add_final_logit_softcapping(30.0)
        _decoder_tensors(writer, architecture, shape)
        (byte_pairs if architecture in _BYTE_PAIRS else sentence_pieces)(shape.vocabulary).add_to(writer)
    return finish(writer, path)


def _decoder_tensors(writer: gguf.GGUFWriter, architecture: str, shape: Shape) -> None:
    head, kind = shape.head, shape.weights
    kv_width = head * shape.kv_heads
    _matrix(writer, "token_embd", shape.vocabulary, shape.width, _of_tokens(kind))
    _norm(writer, "output_norm", shape.width)
    if shape.has_output and architecture not in _GEMMA:
        _matrix(writer, "output", shape.vocabulary, shape.width, _of_tokens(kind))
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        _norm(writer, f"{block}.attn_norm", shape.width)
        _norm(writer, f"{block}.ffn_norm", shape.width)
        if shape.experts:
            _zeros(writer, f"{block}.ffn_gate_inp.weight", shape.experts, shape.width)
            for part, rows, columns in (
                ("gate", shape.inner, shape.width),
                ("up", shape.inner, shape.width),
                ("down", shape.width, shape.inner),
            ):
                _weights(writer, f"{block}.ffn_{part}_exps.weight", (shape.experts, rows, columns), kind)
        else:
            _matrix(writer, f"{block}.ffn_down", shape.width, shape.inner, kind)
            _matrix(writer, f"{block}.ffn_up", (2 if architecture == "phi3" else 1) * shape.inner, shape.width, kind)
            if architecture != "phi3":
                _matrix(writer, f"{block}.ffn_gate", shape.inner, shape.width, kind)
        if not shape.has_attention(architecture, layer):
            _zeros(writer, f"{block}.shortconv.conv.weight", shape.width, 3)
            _matrix(writer, f"{block}.shortconv.in_proj", 3 * shape.width, shape.width, kind)
            _matrix(writer, f"{block}.shortconv.out_proj", shape.width, shape.width, kind)
            continue
        _matrix(writer, f"{block}.attn_output", shape.width, head * shape.heads, kind)
        if architecture == "phi3":
            _matrix(writer, f"{block}.attn_qkv", head * shape.heads + 2 * kv_width, shape.width, kind)
            continue
        for part, rows in (("q", head * shape.heads), ("k", kv_width), ("v", kv_width)):
            _matrix(writer, f"{block}.attn_{part}", rows, shape.width, kind)
            if architecture == "qwen2":
                _zeros(writer, f"{block}.attn_{part}.bias", rows)
        if architecture in _NORMED_HEADS:
            _norm(writer, f"{block}.attn_q_norm", head)
            _norm(writer, f"{block}.attn_k_norm", head)
        if architecture in _GEMMA:
            _norm(writer, f"{block}.post_attention_norm", shape.width)
            _norm(writer, f"{block}.post_ffw_norm", shape.width)


def _embedding_tensors(writer: gguf.GGUFWriter, architecture: str, shape: Shape) -> None:
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    is_bert, kind = architecture == "bert", shape.weights
    _matrix(writer, "token_embd", shape.vocabulary, shape.width, _of_tokens(kind))
    _zeros(writer, "token_types.weight", 2, shape.width)
    if is_bert:
        _zeros(writer, "position_embd.weight", shape.context_length, shape.width)
    else:
        writer.add_rope_freq_base(1000.0)
    _norm(writer, "token_embd_norm", shape.width, bias=True)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v") if is_bert else ():
            _matrix(writer, f"{block}.{part}", shape.width, shape.width, kind, bias=True)
        if not is_bert:
            _matrix(writer, f"{block}.attn_qkv", 3 * shape.width, shape.width, kind)
            _matrix(writer, f"{block}.ffn_gate", shape.inner, shape.width, kind)
        _matrix(writer, f"{block}.attn_output", shape.width, shape.width, kind, bias=is_bert)
        _norm(writer, f"{block}.attn_output_norm", shape.width, bias=True)
        _matrix(writer, f"{block}.ffn_up", shape.inner, shape.width, kind, bias=is_bert)
        _matrix(writer, f"{block}.ffn_down", shape.width, shape.inner, kind, bias=is_bert)
        _norm(writer, f"{block}.layer_output_norm", shape.width, bias=True)


def _matrix(writer: gguf.GGUFWriter, name: str, rows: int, columns: int, kind: str, *, bias: bool = False) -> None:
    _weights(writer, f"{name}.weight", (rows, columns), kind)
    if bias:
        _zeros(writer, f"{name}.bias", rows)


def _weights(writer: gguf.GGUFWriter, name: str, dimensions: tuple[int, ...], kind: str) -> None:
    """Zeros: in every type, bytes that are 0. Raises ValueError where a row is not whole blocks of its type."""
    its_type = gguf.GGMLQuantizationType[kind]
    stored = gguf.quant_shape_to_byte_shape(dimensions, its_type)
    writer.add_tensor(name, np.zeros(stored, dtype=np.uint8), raw_dtype=its_type)


def _of_tokens(kind: str) -> str:
    return "Q6_K" if kind == "Q4_K" else kind


def _norm(writer: gguf.GGUFWriter, name: str, width: int, *, bias: bool = False) -> None:
    writer.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))
    if bias:
        _zeros(writer, f"{name}.bias", width)


def _zeros(writer: gguf.GGUFWriter, name: str, *dimensions: int) -> None:
    writer.add_tensor(name, np.zeros(dimensions, dtype=np.float32))
