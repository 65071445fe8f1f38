"""What a local file is, by its header: a model, one of several files of a model, or something else."""

from pathlib import Path

import pytest

from ollama_provider.apply import content
from ollama_provider.files.gguf import is_split_name, parts, why_no_model
from ollama_provider.model import InvalidDeclarationError, problems_of
from tests.engines.tiny_models import write_llama
from tests.provider.gguf_writing import Value, write_keys, write_split


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"general.type": "adapter", "general.architecture": "llama"}, "a LoRA adapter"),
        ({"general.type": "mmproj"}, "a projector"),
        ({"general.architecture": "clip"}, "a projector"),
        ({"general.type": "imatrix"}, "an importance matrix"),
        ({"general.type": "model", "general.architecture": "llama"}, None),
        ({"general.architecture": "llama"}, None),
        ({"general.type": ["adapter"], "general.architecture": ["clip"], "split.count": ["3"]}, None),
        ({"general.architecture": "llama", "split.count": 1, "split.no": 0}, None),
        ({"split.count": 3, "split.no": 0}, "one of 3, and Ollama takes them by names such as model-00001-of-00003"),
        ({"split.count": 2000, "split.no": 0}, "one of 2000, and Ollama takes a model of 1024 at most"),
        ({"split.count": 2**64 - 1, "split.no": 0}, "one of 18446744073709551615, and Ollama takes a model of 1024"),
    ],
)
def test_what_is_no_model_is_told_by_the_header(tmp_path: Path, keys: dict[str, Value], why: str | None) -> None:
    file = write_keys(tmp_path / "a.gguf", keys)
    found = why_no_model(file)
    assert (found is None) if why is None else (found is not None and why in found)
    assert [problem.path for problem in problems_of({"name": "a", "gguf": str(file)})] == ([("gguf",)] if why else [])


def test_a_header_that_cannot_be_read_is_left_to_ollama(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(b"GGUF\x09\x00\x00\x00 of a version that is not known")
    assert why_no_model(file) is None
    assert parts(file) == (file,)


def test_a_file_that_is_cut_off_is_no_model(tmp_path: Path) -> None:
    write_llama(tmp_path / "a.gguf")
    whole = (tmp_path / "a.gguf").read_bytes()
    file = tmp_path / "cut.gguf"
    for size in (8, 100, 2000):
        file.write_bytes(whole[:size])
        assert why_no_model(file) == f"the file is not complete: it ends within its header, after {size:,} bytes"
    file.write_bytes(whole[:-1])
    assert why_no_model(file) == f"the file is not complete: it has {len(whole) - 1:,} bytes of {len(whole):,}"
    file.write_bytes(whole)
    assert why_no_model(file) is None


def test_a_split_model_is_its_first_file_with_all_others_beside_it(tmp_path: Path) -> None:
    first, second, third = files = write_split(tmp_path, 3)
    assert why_no_model(first) is None
    assert parts(first) == tuple(files)
    assert (is_split_name(str(first)), is_split_name("model.gguf")) == (True, False)
    assert why_no_model(second) == "the file is number 2 of 3: give the first, model-00001-of-00003.gguf"
    third.write_bytes(second.read_bytes())
    assert "model-00003-of-00003.gguf beside it is not number 3 of them" in (why_no_model(first) or "")
    third.unlink()
    assert "of model-00003-of-00003.gguf beside it: No such file or directory" in (why_no_model(first) or "")
    renamed = first.rename(tmp_path / "model-00001-of-00004.gguf")
    assert "Ollama takes them by names such as" in (why_no_model(renamed) or "")


def test_a_count_of_files_is_bounded_before_they_are_listed(tmp_path: Path) -> None:
    file = write_keys(tmp_path / "a.gguf", {"split.count": 2**64 - 1})
    assert parts(file) == (file,)


def test_a_change_of_any_file_of_a_split_model_is_seen(tmp_path: Path) -> None:
    first, _, third = write_split(tmp_path, 3)
    seen = content.look_at(first)
    assert content.look_at(first, seen) == seen
    assert seen["size"] == 3 * first.stat().st_size
    third.write_bytes(third.read_bytes() + b"more")
    changed = content.look_at(first, seen)
    assert changed["digest"] != seen["digest"]
    third.unlink()
    assert content.look_at(first, changed) == changed, "it is needed no more"
    with pytest.raises(InvalidDeclarationError, match="model-00003-of-00003"):
        content.look_at(first)
