"""The estimate beside llama-server's own process; `python -m benchmarks.memory_process` has more."""

from pathlib import Path
from random import Random, SystemRandom

import pytest

from benchmarks.memory_architectures import ARCHITECTURES
from benchmarks.memory_oracle import oracle
from benchmarks.memory_process import NOT_SERVED, compare, rows
from ollama_provider.ollama.memory.graphs.architectures import ARCHITECTURES as KNOWN
from tests.engines.toolchain import Ollama as Engine

pytestmark = [pytest.mark.engines, pytest.mark.alone]

SAMPLE = 3


def test_processes_of_models_that_nobody_chose_are_within_a_fiftieth_or_16_mib(
    engine: Engine, fit_params: Path
) -> None:
    """The seed is a fresh one, and in the rows that pytest prints where the test fails."""
    seed = str(SystemRandom().randrange(10**6))
    served = [name for name in ARCHITECTURES if name in KNOWN and name not in NOT_SERVED]
    names = Random(seed).sample(served, SAMPLE)
    with oracle(fit_params) as asked:
        found = list(compare(engine.program, asked, [(name, seed) for name in names], print))
    assert all(one.estimate is not None for one in found)
    assert all(one.holds for one in found), rows(found)
