"""The estimate beside llama.cpp's own dry run; `python -m benchmarks.memory_dry_run` has thousands of shapes."""

from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom

import pytest

from benchmarks.memory_architectures import ARCHITECTURES
from benchmarks.memory_dry_run import compared, misses, one_shape
from benchmarks.memory_oracle import Load, Oracle, oracle
from benchmarks.memory_published import published
from ollama_provider.ollama.memory.graphs.architectures import ARCHITECTURES as KNOWN
from tests.engines.errors import EngineError

pytestmark = pytest.mark.engines

SAMPLE = 40


@pytest.fixture(scope="module")
def asked(fit_params: Path) -> Iterator[Oracle]:
    with oracle(fit_params) as found:
        yield found


@pytest.fixture
def seed() -> str:
    """A fresh one, which pytest prints where the test fails."""
    found = str(SystemRandom().randrange(10**6))
    print(f"seed {found}")
    return found


def test_parts_of_shapes_that_nobody_chose_are_within_a_hundredth_or_4_mib(asked: Oracle, seed: str) -> None:
    known = [name for name in ARCHITECTURES if name in KNOWN]
    names = Random(seed).sample(known, SAMPLE)
    assert misses([one_shape(asked, None, name, seed) for name in names]) == ""


def test_a_hundred_architectures_are_known_and_drawn() -> None:
    assert len([name for name in ARCHITECTURES if name in KNOWN]) >= 100


def test_published_shapes_are_within_a_hundredth_or_4_mib(asked: Oracle, seed: str) -> None:
    file = asked.folder / "published.gguf"
    found = []
    for one in Random(seed).sample(published(), 8):
        model = one.model(asked, "Q4_K_M")
        model.write(file)
        found.append(compared(asked, None, model, file, one.loads[0]))
    assert misses(found) == ""


def test_a_load_that_llama_cpp_refuses_is_refused(asked: Oracle) -> None:
    """Heads of 80 elements, and a quantised cache."""
    phi2 = next(one for one in published() if one.name == "phi-2")
    model = phi2.model(asked, "F16")
    file = asked.folder / "refused.gguf"
    model.write(file)
    assert compared(asked, None, model, file, Load(2048, kv_cache_type="q8_0")).note == "refused"


def test_the_same_seed_is_the_same_model(asked: Oracle) -> None:
    first, second = (asked.model("qwen3moe", "7") for _ in range(2))
    assert first == second
    assert first != asked.model("qwen3moe", "8")


def test_metadata_that_llama_cpp_does_not_take_are_an_error_with_its_reason(asked: Oracle) -> None:
    with pytest.raises(EngineError, match=r"key not found in model: llama\.context_length"):
        asked.made("llama", {}, "F16", Random(0), "none", may_tie=False)


def test_where_llama_cpp_aborts_the_next_question_is_answered(asked: Oracle) -> None:
    broken = dict(asked.model("granitehybrid", "1").metadata) | {"granitehybrid.embedding_length": 32}
    with pytest.raises(EngineError, match="aborts"):
        asked.made("granitehybrid", broken, "F16", Random(0), "broken", may_tie=False)
    assert asked.model("llama", "1").tensors
