"""What stands before the tensors of a GGUF file, from which its memory can be told; the tensors are not read.

The format: docs/gguf.md of ggml; sizes of types: `TypeSize` in fs/ggml/ggml.go of Ollama 0.17.4. Versions 2 and 3,
little-endian, are what Ollama has made since 2023.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO

_VERSIONS = (2, 3)
_MOST_KEYS, _MOST_TENSORS, _MOST_DIMENSIONS = 100_000, 1_000_000, 4
_LONGEST_NAME, _LONGEST_STRING = 2**16, 2**25
_LONGEST_QUOTED = 64  # characters of a name in an error; a tensor's has no more (GGML_MAX_NAME)
_LARGEST_FILE = 2**63 - 1
_MOST_ELEMENTS = 2**26  # of one list; the largest vocabularies have 2**18 tokens
_LONGEST_LIST_KEPT = 1024  # as Ollama keeps them; longer ones are the tokenizer's

_STRING, _LIST = 8, 9
_VALUES = {number: Struct(f"<{letter}") for number, letter in (*enumerate("BbHhIif?"), *enumerate("Qqd", 10))}
_U32, _U64 = _VALUES[4], _VALUES[10]

_ALIGNMENT = 32  # where `general.alignment` does not say another
# Elements of a block, then its bytes by the number of the type. 4 is what Ollama wrote for MXFP4 before there was 39.
_BYTES_OF_BLOCKS = {
    1: {0: 4, 1: 2, 24: 1, 25: 2, 26: 4, 27: 8, 28: 8, 30: 2},
    32: {2: 18, 3: 20, 4: 17, 6: 22, 7: 24, 8: 34, 9: 36, 20: 18, 39: 17},
    256: {10: 84, 11: 110, 12: 144, 13: 176, 14: 210, 15: 292}
    | {16: 66, 17: 74, 18: 98, 19: 50, 21: 110, 22: 82, 23: 136, 29: 56, 34: 54, 35: 66},
}
_BLOCKS = {kind: (elements, size) for elements, kinds in _BYTES_OF_BLOCKS.items() for kind, size in kinds.items()}


class InvalidGgufError(ValueError):
    """Not a GGUF that can be read; the text says where in the file and what was found there."""


class TruncatedGgufError(InvalidGgufError):
    """What is there may be right, and it ends too early."""


@dataclass(frozen=True)
class Tensor:
    elements: int
    bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """`metadata` has the file's own keys, without lists of over 1024 elements; `vocabulary` counts the tokens.

    `length` is how many bytes the file has at least, all of its tensors included.
    """

    metadata: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    vocabulary: int
    length: int = 0

    @property
    def weights_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def embedding_bytes(self) -> int | None:
        """Of the matrix of tokens, None where there is none by that name."""
        found = self.tensors.get("token_embd.weight")
        return found.bytes if found else None

    @property
    def model_info(self) -> dict[str, Any]:
        """As /api/show gives it: with the count of parameters; and with the size of the vocabulary besides."""
        architecture = self.metadata.get("general.architecture")
        own = {"general.parameter_count": sum(tensor.elements for tensor in self.tensors.values())}
        if self.vocabulary:
            own[f"{architecture}.vocab_size"] = self.vocabulary
        return own | dict(self.metadata)


def read_header_of(path: Path) -> GgufHeader:
    """Raises InvalidGgufError, and OSError where the file cannot be read."""
    with path.open("rb") as file:
        return read_header(file)


def read_header(file: BinaryIO) -> GgufHeader:
    """From a seekable file at its beginning. Raises InvalidGgufError."""
    return _Reader(file).header()


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self.file, self.vocabulary = file, 0
        self.end_of_data = self.bytes_of_tensors = 0

    def header(self) -> GgufHeader:
        count, metadata = self.metadata()
        tensors = dict(self.tensor() for _ in range(count))
        alignment = metadata.get("general.alignment", _ALIGNMENT)
        alignment = alignment if isinstance(alignment, int) and alignment > 0 else _ALIGNMENT
        end = self.file.tell()
        if tensors:  # llama.cpp ggml/src/gguf.cpp: the data begin aligned
            end = -(-end // alignment) * alignment + self.end_of_data
        return GgufHeader(metadata, tensors, self.vocabulary, end)

    def metadata(self) -> tuple[int, dict[str, Any]]:
        """The number of tensors, and the keys."""
        if (magic := self.file.read(4)) != b"GGUF":
            raise InvalidGgufError(f"the file begins with {magic!r}, expected b'GGUF'")
        if (version := self.unpack(_U32)) not in _VERSIONS:
            raise InvalidGgufError(f"version {version} of GGUF, expected 2 or 3, little-endian")
        tensors = self.count("tensors", _MOST_TENSORS)
        keys = self.count("keys", _MOST_KEYS)
        metadata = {}
        for _ in range(keys):
            key = self.text(_LONGEST_NAME)
            value = self.value(key, self.unpack(_U32))
            if value is not None:
                metadata[key] = value
        return tensors, metadata

    def value(self, key: str, kind: int) -> Any:
        """None for a list that is too long to keep."""
        if kind == _STRING:
            return self.text(_LONGEST_STRING)
        if kind in _VALUES:
            return self.unpack(_VALUES[kind])
        if kind != _LIST:
            raise self.error(f"the value of {key[:_LONGEST_QUOTED]!r} is of type {kind}, expected one of 0 to 12")
        element = self.unpack(_U32)
        length = self.count(f"elements of {key[:_LONGEST_QUOTED]!r}", _MOST_ELEMENTS)
        if key == "tokenizer.ggml.tokens":
            self.vocabulary = length
        if length <= _LONGEST_LIST_KEPT and element in (_STRING, *_VALUES):
            return [self.value(key, element) for _ in range(length)]
        if element == _STRING:
            for _ in range(length):
                self.skip(self.count("bytes of a string", _LONGEST_STRING))
        elif element in _VALUES:
            self.skip(_VALUES[element].size * length)
        else:
            raise self.error(
                f"the elements of {key[:_LONGEST_QUOTED]!r} are of type {element}, expected numbers or strings"
            )
        return None

    def tensor(self) -> tuple[str, Tensor]:
        name = self.text(_LONGEST_NAME)
        said = f"the tensor {name[:_LONGEST_QUOTED]!r}"
        if (dimensions := self.unpack(_U32)) > _MOST_DIMENSIONS:
            raise self.error(f"{said} has {dimensions} dimensions, expected at most {_MOST_DIMENSIONS}")
        elements = prod(self.unpack(_U64) for _ in range(dimensions))
        if (kind := self.unpack(_U32)) not in _BLOCKS:
            raise self.error(f"{said} is of type {kind}, which is not known")
        begin = self.unpack(_U64)
        elements_of_block, bytes_of_block = _BLOCKS[kind]
        size = elements // elements_of_block * bytes_of_block
        self.bytes_of_tensors += size
        if elements > _LARGEST_FILE or max(begin + size, self.bytes_of_tensors) > _LARGEST_FILE:
            raise self.error(f"{said} ends after more than {_LARGEST_FILE:,} bytes, which no file has")
        self.end_of_data = max(self.end_of_data, begin + size)
        return name, Tensor(elements, size)

    def count(self, what: str, most: int) -> int:
        if (found := self.unpack(_U64)) > most:
            raise self.error(f"{found} {what}, expected at most {most}")
        return int(found)

    def text(self, longest: int) -> str:
        return self.read(self.count("bytes of a string", longest)).decode(errors="replace")

    def unpack(self, one: Struct) -> Any:
        return one.unpack(self.read(one.size))[0]

    def read(self, size: int) -> bytes:
        found = self.file.read(size)
        if len(found) < size:
            what = "the file ends in its header: it was not copied or downloaded whole"
            raise TruncatedGgufError(f"at byte {self.file.tell()}: {what}")
        return found

    def skip(self, size: int) -> None:
        self.file.seek(size, 1)

    def error(self, what: str) -> InvalidGgufError:
        return InvalidGgufError(f"at byte {self.file.tell()}: {what}")
