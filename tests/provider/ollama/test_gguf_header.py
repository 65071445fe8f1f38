"""The header of a GGUF: what a real writer wrote is read, and a hostile file is one clear error."""

import io
import struct
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_provider.ollama.gguf_header import _BLOCKS, InvalidGgufError, read_header, read_header_of
from ollama_provider.ollama.memory import estimate
from tests.engines.tiny_architectures import Shape, write_architecture


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "llama.gguf"
    write_architecture(file, "llama", Shape(layers=2, width=64, inner=128, heads=4, vocabulary=2000))
    return file


def test_what_a_real_writer_wrote_is_read(llama: Path) -> None:
    read, ours = gguf.GGUFReader(llama), read_header_of(llama)
    assert {name: tensor.bytes for name, tensor in ours.tensors.items()} == {
        tensor.name: int(tensor.n_bytes) for tensor in read.tensors
    }
    assert ours.vocabulary == 2000
    assert ours.embedding_bytes == 2000 * 64 * 2
    assert "tokenizer.ggml.tokens" not in ours.metadata, "too long to keep"
    assert ours.model_info["llama.vocab_size"] == 2000
    assert ours.model_info["general.parameter_count"] == sum(int(tensor.n_elements) for tensor in read.tensors)
    assert ours.model_info["llama.attention.head_count_kv"] == 2
    assert ours.model_info["general.architecture"] == "llama"


def test_a_header_is_enough_for_an_estimate(llama: Path) -> None:
    header = read_header_of(llama)
    found = estimate(
        header.model_info,
        weights_bytes=header.weights_bytes,
        embedding_bytes=header.embedding_bytes,
        num_ctx=2048,
    )
    assert found.weights == header.weights_bytes
    assert found.kv_cache == 2048 * 2 * 2 * 32 * 2


def test_the_tensors_are_not_read(llama: Path) -> None:
    whole = llama.read_bytes()
    tensors = gguf.GGUFReader(llama).tensors
    header_only = whole[: min(int(tensor.data_offset) for tensor in tensors)]
    assert len(header_only) < len(whole) / 2
    assert read_header(io.BytesIO(header_only)) == read_header_of(llama)


def test_short_lists_are_kept(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "lists.gguf", "llama")
    writer.add_head_count_kv([1, 2, 0])
    writer.add_array("llama.names", ["a", "b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    metadata = read_header_of(tmp_path / "lists.gguf").metadata
    assert metadata["llama.attention.head_count_kv"] == [1, 2, 0]
    assert metadata["llama.names"] == ["a", "b"]


def test_sizes_of_types_are_the_formats_own() -> None:
    ours = {kind: _BLOCKS[kind] for kind in map(int, gguf.GGML_QUANT_SIZES) if kind in _BLOCKS}
    theirs = {int(kind): block for kind, block in gguf.GGML_QUANT_SIZES.items() if int(kind) in _BLOCKS}
    ours.pop(9), theirs.pop(9)  # q8_1, which no file has: the writer's library counts its sum twice as long
    assert ours == theirs
    assert len(ours) > 20


def header(*parts: bytes, tensors: int = 0, keys: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(parts)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name: bytes, *shape: int, kind: int = 0, begin: int = 0, count: int = 1) -> bytes:
    """`count` of them in one header; of F32, where `kind` is not given."""
    one = text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, begin)
    return header(one * count, tensors=count)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file begins with b'', expected b'GGUF'"),
        (b"<html>", "the file begins with b'<htm', expected b'GGUF'"),
        (b"GGUF", "at byte 4: the file ends in its header"),
        (header(version=1), "version 1 of GGUF, expected 2 or 3"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version 50331648 of GGUF, expected 2 or 3, little-endian"),
        (header(tensors=2**60), "1152921504606846976 tensors, expected at most 1000000"),
        (header(keys=2**60), "1152921504606846976 keys, expected at most 100000"),
        (header(struct.pack("<Q", 2**62), keys=1), "bytes of a string, expected at most 65536"),
        (header(text(b"a"), struct.pack("<I", 77), keys=1), "the value of 'a' is of type 77, expected one of 0 to 12"),
        (
            header(text(b"a"), struct.pack("<IIQ", 9, 9, 1), keys=1),
            "the elements of 'a' are of type 9, expected numbers or strings",
        ),
        (header(text(b"a"), struct.pack("<IIQ", 9, 4, 2**40), keys=1), "elements of 'a', expected at most 67108864"),
        (header(text(b"t"), struct.pack("<I", 9), tensors=1), "the tensor 't' has 9 dimensions, expected at most 4"),
        (header(text(b"t"), struct.pack("<IQI", 1, 8, 99), tensors=1), "the tensor 't' is of type 99"),
        (header(text(b"t"), struct.pack("<IQ", 2, 8), tensors=1), "the file ends in its header"),
        (tensor(b"t", 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1), "the tensor 't' ends after more than"),
        (tensor(b"t", 2**62), "the tensor 't' ends after more than 9,223,372,036,854,775,807 bytes, which no file has"),
        (tensor(b"t", 2**60, count=3), "the tensor 't' ends after more than"),
        (tensor(b"t", 1, begin=2**63 - 1), "the tensor 't' ends after more than"),
        (tensor(b"t" * 2**16, 1, kind=99), f"the tensor '{'t' * 64}' is of type 99"),
        (header(text(b"a" * 2**16), struct.pack("<I", 77), keys=1), f"the value of '{'a' * 64}' is of type 77"),
    ],
)
def test_a_hostile_file_is_one_clear_error(content: bytes, said: str) -> None:
    with pytest.raises(InvalidGgufError) as error:
        read_header(io.BytesIO(content))
    assert said in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 200


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_any_damage_is_read_or_refused(llama: Path, data: st.DataObject) -> None:
    damaged = bytearray(llama.read_bytes()[:80_000])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(4, 3000))] = data.draw(st.integers(0, 255))
    try:
        found = read_header(io.BytesIO(damaged[: data.draw(st.integers(0, len(damaged)))]))
    except InvalidGgufError as error:
        assert str(error).isprintable()
    else:
        assert found.weights_bytes >= 0
