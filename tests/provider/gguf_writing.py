"""GGUF files of keys alone, for what is told from a header: no tensors, nothing that a model could be made of."""

import struct
from pathlib import Path

Value = str | int | list[str]


def write_keys(path: Path, keys: dict[str, Value]) -> Path:
    """A file of version 3 with these keys: texts, lists of them, and whole numbers, of 16 bits as a split has them."""
    written = [_text(key) + _value(value) for key, value in keys.items()]
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + b"".join(written))
    return path


def write_split(folder: Path, count: int, prefix: str = "model") -> list[Path]:
    """A model in several files, by llama.cpp's names."""
    return [
        write_keys(
            folder / f"{prefix}-{number:05}-of-{count:05}.gguf",
            {"general.architecture": "llama", "split.no": number - 1, "split.count": count},
        )
        for number in range(1, count + 1)
    ]


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
    return struct.pack("<IH", 2, value) if value < 2**16 else struct.pack("<IQ", 10, value)
