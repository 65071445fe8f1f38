"""What a side is named for is shown by the answers themselves, or no table is made."""

import pytest

from ollama_policy.commands.bench.figures import Call, Round
from ollama_policy.commands.bench.proof import doubt
from ollama_policy.commands.bench.sides import Case, sides_of
from ollama_provider.ollama.names import ModelName

NAME = ModelName.parse("chat")


def rounds(*load_milliseconds: float, error: str = "") -> list[Round]:
    return [Round(1.0, [Call(0.5, 0.1, 1, error, one / 1000) for one in load_milliseconds])]


def doubted(case: Case, old: list[Round], new: list[Round]) -> str:
    return doubt(sides_of(case, NAME, "http://one", "http://two", 1)[0], old, new)


@pytest.mark.parametrize(
    ("case", "old", "new", "words"),
    [
        (Case.PINNED, rounds(257, 260), rounds(1, 3), ""),
        (Case.PINNED, rounds(257, 1.5), rounds(1, 3), "1 of 2 calls of the cold side were not cold"),
        (Case.PINNED, rounds(257, 60), rounds(50, 55), "1 of 2 calls"),  # slow to find what is there
        (Case.PINNED, rounds(257, 19), rounds(1, error="no answer"), "1 of 2 calls"),
        (Case.PINNED, rounds(1, error="no answer"), rounds(1), ""),  # errors are told as such
        (Case.ALIGNED, rounds(1, 257), rounds(1), ""),
        (Case.ALIGNED, rounds(1, 2), rounds(1), "no call of the side whose num_ctx differ reloaded the model"),
        (Case.SERVERS, rounds(1), rounds(1), ""),
    ],
)
def test_a_side_is_what_it_is_named_for(case: Case, old: list[Round], new: list[Round], words: str) -> None:
    found = doubted(case, old, new)
    assert found.startswith(words)
    assert bool(found) is bool(words)
