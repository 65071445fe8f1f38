"""The parts of the memory benchmarks that ask no engine."""

from pathlib import Path
from random import Random

import gguf
import pytest

from benchmarks.memory_architectures import ARCHITECTURES, Value, draw
from benchmarks.memory_dry_run import Compared, Part, drawn, misses
from benchmarks.memory_files import kind_of, size, typed, write
from benchmarks.memory_oracle import Load
from benchmarks.memory_process import drawn as drawn_processes
from benchmarks.memory_published import TABLE, published
from benchmarks.memory_tables import write_table
from benchmarks.memory_tensors import as_converted
from ollama_provider.ollama.sizes import MIB

TENSORS = {"token_embd.weight": (256, 1000), "blk.0.attn_norm.weight": (256,), "blk.0.ffn_down.weight": (96, 256)}


def test_a_file_is_a_header_and_a_hole_that_any_reader_reads(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    metadata: dict[str, Value] = {"llama.heads": [1, 2], "llama.is": [True, False], "llama.scale": 0.5}
    total = write(file, "llama", metadata, TENSORS, typed(TENSORS, "Q4_K_M"))
    found = gguf.GGUFReader(file)
    assert file.stat().st_size == total
    assert file.stat().st_blocks * 512 < total
    assert [(one.name, one.tensor_type.name, tuple(map(int, one.shape))) for one in found.tensors] == [
        ("token_embd.weight", "Q6_K", (256, 1000)),
        ("blk.0.attn_norm.weight", "F32", (256,)),
        ("blk.0.ffn_down.weight", "Q5_0", (96, 256)),
    ]
    assert found.fields["llama.is"].contents() == [True, False]
    assert found.fields["llama.heads"].contents() == [1, 2]


@pytest.mark.parametrize(
    ("name", "dimensions", "mix", "kind"),
    [
        ("blk.0.attn_q.weight", (256, 256), "F16", "F16"),
        ("blk.0.attn_q.bias", (256,), "F16", "F32"),
        ("blk.0.attn_q.weight", (256, 256), "Q4_K_M", "Q4_K"),
        ("blk.0.attn_q.weight", (80, 256), "Q8_0", "F16"),
        ("blk.0.ffn_up_exps.weight", (256, 256, 8), "MXFP4", "MXFP4"),
        ("blk.0.attn_q.weight", (256, 256), "MXFP4", "Q8_0"),
        ("blk.0.ffn_gate_inp.weight", (256, 8), "Q8_0", "F32"),
    ],
)
def test_the_type_of_a_tensor(name: str, dimensions: tuple[int, ...], mix: str, kind: str) -> None:
    assert kind_of(name, dimensions, mix).name == kind


def test_sizes_are_those_of_blocks() -> None:
    assert size((256, 10), gguf.GGMLQuantizationType.Q4_K) == 10 * 144


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_draws_the_same_from_the_same(architecture: str) -> None:
    first, second = (draw(architecture, Random(1)) for _ in range(2))
    assert first == second
    assert first[f"{architecture}.block_count"]


def test_matrices_are_as_a_converter_writes_them() -> None:
    taken = {
        "output.weight": (64, 10),
        "rope_freqs.weight": (32,),
        "blk.0.attn_q.weight": (64, 64),
        "blk.0.attn_k.weight": (64, 32),
        "blk.0.attn_v.weight": (64, 32),
        "blk.0.attn_q.bias": (64,),
        "blk.0.ffn_gate_up_exps.weight": (64, 96, 4),
    }
    assert as_converted("llama", taken, Random(1), may_tie=False) == {
        "output.weight": (64, 10),
        "blk.0.attn_q.weight": (64, 64),
        "blk.0.attn_k.weight": (64, 32),
        "blk.0.attn_v.weight": (64, 32),
        "blk.0.ffn_gate_exps.weight": (64, 48, 4),
        "blk.0.ffn_up_exps.weight": (64, 48, 4),
    }
    assert as_converted("phi3", taken, Random(1), may_tie=False)["blk.0.attn_qkv.weight"] == (64, 128)


@pytest.mark.parametrize(
    ("load", "batch"),
    [
        (Load(4096), 512),
        (Load(4096, 2), 1024),
        (Load(32768), 1024),
        (Load(32768, 2), 2048),
        (Load(512, embeds=True), 512),
        (Load(8192, embeds=True), 2048),
    ],
)
def test_the_batch_is_ollamas(load: Load, batch: int) -> None:
    assert load.batch == batch


@pytest.mark.parametrize(
    ("ours", "real", "off", "holds"),
    [
        (100.5, 100, 0.0, True),  # the program cuts to whole MiB
        (104.9, 100, 3.9, True),
        (105.1, 100, 4.1, False),
        (95.9, 100, -4.1, False),
        (1009, 1000, 8.0, True),
        (1012, 1000, 11.0, False),
    ],
)
def test_a_part_holds_within_a_hundredth_or_4_mib(ours: float, real: float, off: float, holds: bool) -> None:
    part = Part("compute", ours, real)
    assert part.off == pytest.approx(off)
    assert part.holds is holds


def test_a_miss_is_told_with_its_seed() -> None:
    parts = (Part("model", 10, 10), Part("compute", 30, 10))
    one = Compared("llama", "7.1", "F16", "2048 x 1, f16", "", parts)
    assert misses([one]) == "- llama, seed 7.1, F16, 2048 x 1, f16: compute 30.0 for 10.0 MiB"
    assert MIB == 1024 * 1024


def test_architectures_are_drawn_in_turn() -> None:
    assert drawn("s", 3, ("a", "b")) == [("a", "s.0"), ("b", "s.0"), ("a", "s.1")]
    assert sorted(drawn_processes("s", 4, ("a", "b"))) == [("a", "s.0"), ("a", "s.1"), ("b", "s.0"), ("b", "s.1")]


def test_published_shapes_have_a_source_that_the_head_of_the_table_names() -> None:
    head = [line for line in TABLE.read_text().splitlines() if line.startswith("#")]
    sources = {line.split()[1] for line in head if "github.com" in line}
    found = published()
    assert len({one.name for one in found}) == len(found) >= 50
    assert {one.source for one in found} == sources


def test_a_table_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- end of a -->\nafter\n")
    write_table("a", "new", page)
    assert page.read_text() == "before\n<!-- a -->\nnew\n<!-- end of a -->\nafter\n"
    with pytest.raises(ValueError, match="expected one '<!-- b -->'"):
        write_table("b", "new", page)
