"""The model that is compared: random weights of f32, a vocabulary of bytes, a file that Ollama loads as it is."""

from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

import gguf
import numpy as np

from benchmarks.toolchains.weights import Weights
from tests.engines.tiny_models import write_llama

CONTEXT = 1024
BOS, FIRST_BYTE = 1, 3
_SPACE = "\u2581"  # as SentencePiece writes it; one stands before every text


def write_model(path: Path, *, layers: int = 16, width: int = 512, heads: int = 8) -> Weights:
    """137 MiB at the defaults."""
    write_llama(
        path, layers=layers, width=width, heads=heads, context_length=CONTEXT, dtype=np.float32, never_ends=True
    )
    return weights_of(path)


def weights_of(path: Path) -> Weights:
    """Where the tensors of a llama GGUF lie. Raises ValueError where one is not f32."""
    reader = gguf.GGUFReader(path)

    def value(key: str) -> Any:
        return reader.fields[f"llama.{key}"].contents()

    for tensor in reader.tensors:
        if tensor.tensor_type != gguf.GGMLQuantizationType.F32:
            raise ValueError(f"{path}: {tensor.name} is {tensor.tensor_type.name}, expected F32 in all tensors")
    return Weights(
        file=str(path),
        layers=value("block_count"),
        heads=value("attention.head_count"),
        kv_heads=value("attention.head_count_kv"),
        width=value("embedding_length"),
        epsilon=value("attention.layer_norm_rms_epsilon"),
        places={tensor.name: [int(tensor.data_offset), *tensor.data.shape] for tensor in reader.tensors},
    )


def tokens_of(text: str) -> list[int]:
    """As llama.cpp's SentencePiece tokenizer makes them where no token is longer than a byte."""
    return [BOS, *(FIRST_BYTE + byte for byte in (_SPACE + text.replace(" ", _SPACE)).encode())]


def text_of(tokens: list[int]) -> str:
    """Of an answer. Raises ValueError where a token is not a byte of ASCII."""
    return bytes(token - FIRST_BYTE for token in tokens).decode("ascii")


def prompt(number: int, tokens: int) -> str:
    """A prompt of so many tokens. Each number has another from its first letters on: none is answered from a cache."""
    letters = tokens - len(tokens_of(""))
    return "".join(Random(number).choices(ascii_lowercase, k=letters))
