"""What is asked: no prompt is in a cache, and each turn goes on from the one before it."""

from itertools import pairwise

from ollama_policy.commands.probe.probing import has_checkpoints
from ollama_policy.commands.probe.prompts import conversation, prompt_of


def test_prompts_differ_from_their_first_word_on_and_one_is_always_the_same() -> None:
    asked = [prompt_of(run, number, "Why?") for run in ("a", "b") for number in range(30)]
    assert len({prompt.split()[0] for prompt in asked}) == 60
    assert all(300 <= len(prompt) < 330 and prompt.endswith(". Why?") for prompt in asked)
    assert prompt_of("a", 7, "Why?") == asked[7]


def test_a_turn_goes_on_from_the_one_before_it() -> None:
    long, *turns = conversation("a", 10)
    assert len(turns) == 9
    assert all(later.startswith(earlier) and len(later) > len(earlier) + 140 for earlier, later in pairwise(turns))
    assert abs(len(long) - len(turns[-1])) < 150
    assert not turns[-1].startswith(long[:10])


def test_whose_context_has_checkpoints() -> None:
    assert has_checkpoints({"general.architecture": "gemma3", "gemma3.attention.sliding_window": 512})
    assert has_checkpoints({"lfm2.shortconv.l_cache": 3})
    assert not has_checkpoints({"llama.context_length": 4096, "llama.attention.head_count": 8})
    assert not has_checkpoints({})
