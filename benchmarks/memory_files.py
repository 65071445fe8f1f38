"""GGUF files that are a header and a hole: metadata and tensors as in a real model, and not one byte of its weights."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Final

import gguf

from benchmarks.memory_architectures import Value
from tests.engines.llama_library import Tensors

MIXES: Final = ("F16", "BF16", "Q8_0", "Q4_K_M", "MXFP4")
_ALIGNMENT = 32
# A row that is not a multiple of a type's block is stored in the next of these (src/llama-quant.cpp).
_FALLBACK: Final = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "Q5_0": "F16", "Q8_0": "F16", "MXFP4": "F16"}
# What llama-quantize leaves as it is: norms are known by their name, all with one dimension are, and these.
_KEPT: Final = (
    "_norm", "ffn_gate_inp", "altup", "laurel", "per_layer_model_proj", "position_embd", "token_types", "ssm_conv1d",
    "shortconv.conv", "time_mix_first", "time_mix_w0", "time_mix_w1", "time_mix_w2", "time_mix_v0", "time_mix_v1",
    "time_mix_v2", "time_mix_a0", "time_mix_a1", "time_mix_a2", "time_mix_g1", "time_mix_g2", "time_mix_decay_w1",
    "time_mix_decay_w2", "time_mix_lerp", "time_mix_r_k", "attn_rel_b", "indexer.k_proj", "indexer.q_proj",
)  # fmt: skip


def kind_of(name: str, dimensions: tuple[int, ...], mix: str, *, is_late: bool = False) -> gguf.GGMLQuantizationType:
    """The type that a tensor has in a file of this mix. `is_late`: in the half of the layers that get more bits.

    The mixes are those of llama-quantize as far as sizes go: a tensor or two may get another number of bits there.
    """
    if len(dimensions) < 2 or not name.endswith(".weight") or any(part in name for part in _KEPT):
        return gguf.GGMLQuantizationType.F32
    wanted = mix
    if mix == "Q4_K_M":
        is_finer = is_late and ("attn_v." in name or "ffn_down" in name)
        wanted = "Q6_K" if is_finer or name.startswith(("output.", "token_embd.")) else "Q4_K"
    elif mix == "MXFP4":
        wanted = "MXFP4" if "_exps." in name else "Q8_0"
    while dimensions[0] % gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[wanted]][0]:
        wanted = _FALLBACK[wanted]
    return gguf.GGMLQuantizationType[wanted]


def typed(tensors: Tensors, mix: str) -> dict[str, gguf.GGMLQuantizationType]:
    blocks = 1 + max((_layer(name) for name in tensors), default=0)
    return {
        name: kind_of(name, dimensions, mix, is_late=(_layer(name) * 8 // blocks) % 2 == 1)
        for name, dimensions in tensors.items()
    }


def size(dimensions: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> int:
    """Bytes of the tensor's data."""
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    return prod(dimensions) // block * block_bytes


def write(
    path: Path,
    architecture: str,
    metadata: Mapping[str, Value],
    tensors: Tensors | None = None,
    kinds: Mapping[str, gguf.GGMLQuantizationType] | None = None,
) -> int:
    """Write the header, and the rest of the file as a hole; how many bytes the whole file has, with the hole."""
    tensors, kinds = tensors or {}, kinds or {}
    pairs: dict[str, Value] = {"general.architecture": architecture, "tokenizer.ggml.model": "no_vocab", **metadata}
    parts = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(pairs))]
    parts += [_text(key) + _value(value) for key, value in pairs.items()]
    offset = 0
    for name, dimensions in tensors.items():
        kind = kinds.get(name, gguf.GGMLQuantizationType.F32)
        head = struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind.value, offset)
        parts.append(_text(name) + head)
        offset += _padded(size(dimensions, kind))
    header = b"".join(parts)
    total = _padded(len(header)) + offset
    with path.open("wb") as file:
        file.write(header)
        file.truncate(total)
    return total


def _layer(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("blk.") else 0


def _padded(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _value(value: Value) -> bytes:
    if isinstance(value, list) and isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(_text(str(one)) for one in value)
    if isinstance(value, list):
        kind, form = _scalar(value[0])
        if form == "I":
            kind, form = 5, "i"  # signed, as converters write lists
        return struct.pack("<IIQ", 9, kind, len(value)) + struct.pack(f"<{len(value)}{form}", *value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    kind, form = _scalar(value)
    return struct.pack(f"<I{form}", kind, value)


def _scalar(value: float | str) -> tuple[int, str]:
    """GGUF's number of the type, and struct's letter."""
    return (7, "?") if isinstance(value, bool) else (4, "I") if isinstance(value, int) else (6, "f")
