"""The fuzzer for a moment, the same inputs each time. The long run is `python -m tests.policies.fuzz`."""

from pathlib import Path
from random import Random

import pytest

from ollama_policy.sources import SOURCES, Registered
from tests.policies.fuzz.fuzzer import Fuzzer
from tests.policies.fuzz.invariants import BrokenError, check_span
from tests.policies.fuzz.seeds import PATHS, name_of
from tests.policies.fuzz.snippets import SNIPPETS
from tests.policies.sources.trees import file

_INPUTS = 150


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_no_input_breaks_a_source(source: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fuzzer = Fuzzer(source, Random(20), most_seeds=30)
    for _ in range(_INPUTS):
        fuzzer.step()
    assert not fuzzer.crashes, "\n".join(map(str, fuzzer.crashes.values()))
    assert fuzzer.pipelines > 10
    assert fuzzer.executions > _INPUTS / 3


def test_every_source_has_names_and_snippets() -> None:
    names = {name_of(source) for source in SOURCES}
    assert set(PATHS) == names, "add the source to PATHS in tests/policies/fuzz/seeds.py"
    assert set(SNIPPETS) == names, "add the source to SNIPPETS in tests/policies/fuzz/snippets.py"


@pytest.mark.parametrize(("start", "end"), [(0, 9), (2, 1), (-1, 2), (2, 3)])
def test_a_place_that_is_none_is_noticed(start: int, end: int) -> None:
    from ollama_policy.model.settings import Span

    with pytest.raises(BrokenError):
        check_span(file("a.yaml", "aéb: c"), Span(start, end), "it")
