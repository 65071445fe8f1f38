"""Places in long lines are what counting from the line's beginning says."""

from random import Random

import pytest

from ollama_policy.model.settings import Edit, Span, apply
from tests.policies.sources.trees import file


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("alphabet", ["ab", "aé", "é🦙", "🦙"])
def test_places_in_a_long_line(alphabet: str, mark: str) -> None:
    random = Random(4)
    text = mark + "".join(random.choices(alphabet, k=9000)) + "\n" + "".join(random.choices(alphabet, k=9000))
    data = text.encode()
    one = file("a.tf", data)
    characters = text.removeprefix("\ufeff")
    for at in [0, len(characters), *(random.randrange(len(characters)) for _ in range(300))]:
        offset = len((mark + characters[:at]).encode())
        line = characters[:at].count("\n") + 1
        column = at - (characters.rfind("\n", 0, at) + 1) + 1
        assert one.position(offset) == (line, column)
        assert one.offset(line, column) == offset
    assert one.line(1) == characters.split("\n")[0]


def test_edits_are_applied_in_the_order_of_the_file() -> None:
    one = file("a", "abcdef")
    places = [(4, 5, "X"), (1, 1, "1"), (1, 1, "2"), (2, 3, "")]
    edits = [Edit(one, Span(start, end), text) for start, end, text in places]
    assert apply(edits, one.data) == b"a21bdXf"
