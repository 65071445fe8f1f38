"""No character of what a server says is markup."""

import re

from ollama_policy.commands.report.pictures.escaping import mermaid, shortened, visible, xml
from tests.policies.report.examples import HOSTILE


def test_of_html_and_svg_nothing_is_left_to_end_a_text_or_an_attribute() -> None:
    assert not re.search(r"[<>\"']|&(?!amp;|lt;|gt;|quot;|#x27;)|[\x00-\x1f\ud800-\udfff\ufffe]", xml(HOSTILE))


def test_of_mermaid_a_code_is_the_only_mark() -> None:
    assert re.fullmatch(r"(?:[\w .,:+\-/()=]|#\d+;)*", mermaid(HOSTILE))
    assert mermaid("a;b#c") == "a#59;b#35;c"


def test_a_long_name_keeps_both_its_ends() -> None:
    assert shortened("abcdefghij", 5) == "ab…ij"
    assert shortened("abcde", 5) == "abcde"


def test_a_line_stays_one_line() -> None:
    assert visible("a\nb\ufffe") == "a\\nb\\ufffe"
