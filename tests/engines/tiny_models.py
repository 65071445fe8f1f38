"""Models small enough for a test: random weights, a vocabulary of bytes, real enough for the real Ollama to load."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gguf
import numpy as np

# <unk>, <s>, </s>, then one token a byte.
END, FIRST_BYTE = 2, 3
VOCABULARY = FIRST_BYTE + 256


def write_llama(
    path: Path,
    *,
    seed: int = 0,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    kv_heads: int = 2,
    context_length: int = 2048,
    dtype: type[np.float16 | np.float32] = np.float16,
    never_ends: bool = False,
    split_max_tensors: int = 0,
) -> str:
    """Write a llama GGUF and return "sha256:..." of the file: 230 KB at the defaults.

    Each seed gives another file, the same seed the same. 16 layers of width 512 are 68 MB: slow to pull.
    `width` must be a multiple of 2 * `heads`. A token of context takes 4 * `layers` * `kv_heads` * `width` / `heads`
    bytes of KV cache: 8 KiB with 16 layers, width 128, and 8 heads of both kinds.
    The logits of all but the bytes 1 to 127 and the end are 0: never the largest, nor among the 40 that Ollama samples
    from. So an answer is text: from 0.30 on, bytes that are not UTF-8 make a stream end without its `done` line. With
    `never_ends` the end is among those.
    With `split_max_tensors` the model is in several files beside `path`, by llama.cpp's names, and no digest is given.
    """
    random = np.random.default_rng(seed)
    inner = 2 * width
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=split_max_tensors)
    writer.add_name(f"tiny-{seed}")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32 if dtype is np.float32 else gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(context_length)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    add_byte_vocabulary(writer)

    def matrix(name: str, rows: int, columns: int) -> None:
        weights = random.standard_normal((rows, columns), dtype=np.float32) * 0.05
        if name == "output":
            silent = np.ones(rows, dtype=bool)
            silent[FIRST_BYTE + 1 : FIRST_BYTE + 128] = False
            silent[END] = never_ends
            weights[silent] = 0
        writer.add_tensor(f"{name}.weight", weights.astype(dtype))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))

    matrix("token_embd", VOCABULARY, width)
    norm("output_norm")
    matrix("output", VOCABULARY, width)
    for layer in range(layers):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm")
        matrix(f"{block}.attn_q", width, width)
        matrix(f"{block}.attn_k", width // heads * kv_heads, width)
        matrix(f"{block}.attn_v", width // heads * kv_heads, width)
        matrix(f"{block}.attn_output", width, width)
        norm(f"{block}.ffn_norm")
        matrix(f"{block}.ffn_gate", inner, width)
        matrix(f"{block}.ffn_up", inner, width)
        matrix(f"{block}.ffn_down", width, inner)
    return finish(writer, path)


def write_embedding_only(path: Path, *, seed: int = 0, width: int = 64, context_length: int = 512) -> str:
    """Write a one-layer BERT GGUF and return "sha256:...": it embeds and cannot generate."""
    random = np.random.default_rng(seed)
    heads, inner = 4, 2 * width
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name(f"tiny-bert-{seed}")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context_length)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(33, 127)]
    words += [f"\u2581{letter}" for letter in letters] + letters
    writer.add_tokenizer_model("bert")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * len(words))
    writer.add_token_types([gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * (len(words) - 5))
    writer.add_token_type_count(2)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
    writer.add_sep_token_id(3)
    writer.add_pad_token_id(0)
    writer.add_mask_token_id(4)

    def linear(name: str, rows: int, columns: int) -> None:
        matrix(f"{name}.weight", rows, columns)
        writer.add_tensor(f"{name}.bias", np.zeros(rows, dtype=np.float32))

    def matrix(name: str, rows: int, columns: int) -> None:
        writer.add_tensor(name, random.standard_normal((rows, columns), dtype=np.float32) * 0.05)

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(width, dtype=np.float32))

    matrix("token_embd.weight", len(words), width)
    matrix("token_types.weight", 2, width)
    matrix("position_embd.weight", context_length, width)
    norm("token_embd_norm")
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        linear(f"blk.0.{part}", width, width)
    norm("blk.0.attn_output_norm")
    linear("blk.0.ffn_up", inner, width)
    linear("blk.0.ffn_down", width, inner)
    norm("blk.0.layer_output_norm")
    return finish(writer, path)


def add_byte_vocabulary(writer: gguf.GGUFWriter) -> None:
    """A SentencePiece vocabulary of nothing but bytes, with unk, bos and eos."""
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))])
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def finish(writer: gguf.GGUFWriter, path: Path) -> str:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sha256(path) if path.exists() else ""


def sha256(path: Path) -> str:
    """ "sha256:" and the hex digest of the file, as Ollama names a blob."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
