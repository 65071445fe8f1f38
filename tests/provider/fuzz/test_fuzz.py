"""The provider's fuzzers for a moment, the same inputs each time. The long run is `python -m tests.provider.fuzz`."""

from random import Random

import pytest

from tests.provider.fuzz.__main__ import TARGETS
from tests.provider.fuzz.fuzzing import run

pytestmark = pytest.mark.slow

_INPUTS = 1500


@pytest.mark.parametrize("name", list(TARGETS))
def test_no_input_breaks_it(name: str) -> None:
    target = TARGETS[name](Random(20))
    try:
        count, crashes = run(target, inputs=_INPUTS)
    finally:
        target.close()
    assert not crashes, "\n".join(crashes.values())
    assert count == _INPUTS
