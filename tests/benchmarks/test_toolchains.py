"""The comparison of tool chains: the reference is the model that Ollama runs, and the table says what was measured."""

import sys
from pathlib import Path

import pytest

from benchmarks.toolchains.chains import LibraryChain, OllamaChain, log_softmax
from benchmarks.toolchains.figures import TOLERANCE, Turn, figures_of, furthest, table
from benchmarks.toolchains.measure import started
from benchmarks.toolchains.model import prompt, text_of, tokens_of, write_model
from ollama_provider.ollama.sizes import MIB
from tests.engines.errors import EngineError
from tests.engines.ollama_server import OllamaServer
from tests.engines.toolchain import Ollama


def reference(folder: Path) -> LibraryChain:
    weights = write_model(folder / "small.gguf", layers=2, width=64, heads=4)
    return LibraryChain("numpy", "numpy", Path(sys.executable), weights, folder / "numpy.log")


def test_a_child_answers_with_the_same_after_a_cache_as_without(tmp_path: Path) -> None:
    chain = reference(tmp_path)
    with started(chain):
        answer = chain.call(prompt(1, 20), 8)
        assert (answer.prompt_tokens, len(answer.text)) == (20, 8)
        for length in range(8):
            told = chain.logarithms(prompt(1, 20) + answer.text[:length])
            assert text_of([max(told, key=lambda token: told[token])]) == answer.text[length]
        chain.release()
        with pytest.raises(EngineError, match=r"numpy: call: it ended(?s:.*)NoneType"):
            chain.call("x", 1)


@pytest.mark.engines
def test_the_reference_is_the_model_that_ollama_runs(engine: Ollama, tmp_path: Path) -> None:
    numpy = reference(tmp_path)
    server = OllamaServer(engine.program, tmp_path / "ollama")
    try:
        ollama = OllamaChain(server, tmp_path / "small.gguf")
        with started(ollama), started(numpy):
            for number in range(4):
                text = prompt(number, 40)
                assert furthest(ollama.logarithms(text), numpy.logarithms(text)) < TOLERANCE
                assert ollama.call(text, 16).text == numpy.call(text, 16).text
    finally:
        server.close()


def test_prompts_are_of_their_length_and_all_differ() -> None:
    prompts = {prompt(number, 32) for number in range(50)}
    assert (len(prompts), {len(tokens_of(one)) for one in prompts}) == (50, {32})


def test_the_table_is_the_medians() -> None:
    turns = [
        Turn(load, 100 * MIB, [300 * MIB, 301 * MIB, 303 * MIB], [2 * MIB, 4 * MIB], 120 * MIB, 110 * MIB, 1000.0, 50.0)
        for load in (1.0, 2.0, 9.0)
    ]
    one = figures_of(turns)
    assert (one.load_seconds, one.model, one.allocated, one.returned) == (2.0, 200 * MIB, 3 * MIB, 1.5 * MIB)
    assert (one.total, one.calls) == (3 * MIB, 2)
    assert one.given_back == pytest.approx(183 / 203)
    assert one.trimmed == pytest.approx(193 / 203)
    lines = table({"A 1": one, "B 2": figures_of([turn._replace(trimmed=None) for turn in turns])})
    assert lines[:3] == ["| | A 1 | B 2 |", "|---|---|---|", "| load | 2.00 s | 2.00 s |"]
    assert "| M over 2 calls | 3.0 MiB | 3.0 MiB |" in lines
    assert "| and by malloc_trim | 95% | - |" in lines


def test_how_far_two_are_apart_counts_only_where_they_agree_on_the_likeliest() -> None:
    reference_of = dict(enumerate(log_softmax([1.0, 3.0, 2.0])))
    assert furthest({1: reference_of[1], 2: reference_of[2] - 0.5}, reference_of) == pytest.approx(0.5)
    with pytest.raises(EngineError, match="token 2 is the likeliest, expected 1"):
        furthest({1: -2.0, 2: -1.0}, reference_of)
