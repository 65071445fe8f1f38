"""The page needs nothing but itself, is well-formed, and says in words what it shows."""

import re
from xml.etree import ElementTree

from ollama_policy.commands.report import markdown, page
from ollama_policy.commands.report.contents import Contents
from ollama_policy.live.snapshot import NoAnswer
from ollama_policy.model.result import Unreadable
from tests.policies.report.examples import HOSTILE, NOW, compared, contents, fitted, probed, running, seen

_LOADS = ("src", "href", "data", "poster", "srcset", "action", "background")


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.partition("\n")[2])  # noqa: S314 - our own


def test_it_loads_nothing() -> None:
    text = page.render(contents())
    for element in parsed(text).iter():
        for name in _LOADS:
            assert (element.get(name) or "#").startswith("#"), ElementTree.tostring(element)
    assert not re.search(r"<script|<link|<iframe|@import|url\(", text)
    assert "default-src 'none'" in text


def test_it_can_be_read_by_those_who_do_not_see_it() -> None:
    root = parsed(page.render(contents()))
    assert root.get("lang") == "en"
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    for one in root.iter():
        for attribute in ("aria-labelledby", "aria-describedby"):
            assert one.get(attribute, ids[0]) in ids
        if one.tag == "a":
            assert (one.get("href") or "")[1:] in ids
    pictures = list(root.iter("{http://www.w3.org/2000/svg}svg"))
    assert len(pictures) == 4
    assert all(one.get("role") == "img" for one in pictures)
    for figure_parent in root.iter("section"):
        if figure_parent.find("figure") is not None:
            assert figure_parent.find(".//table") is not None
    assert [one.tag for one in root.iter() if re.fullmatch(r"h[1-6]", one.tag)][:3] == ["h1", "h2", "h2"]


def test_hostile_words_stay_words() -> None:
    every = Contents(
        NOW,
        "0.1.0",
        probed(model=HOSTILE, unseen=HOSTILE),
        NoAnswer(HOSTILE, True, HOSTILE),
        unreadable=[Unreadable(HOSTILE, HOSTILE)],
        fit=fitted(None, HOSTILE, HOSTILE),
        bench=compared(1, 2, HOSTILE),
    )
    root = parsed(page.render(every))
    plain = parsed(
        page.render(
            every._replace(
                account=probed(unseen="x"),
                server=NoAnswer("u", True, "p"),
                unreadable=[],
                fit=fitted(None),
                bench=compared(1, 2),
            )
        )
    )
    assert {one.tag for one in root.iter()} <= {one.tag for one in plain.iter()}
    assert "<script>alert(1)" in "".join(root.itertext())
    text = markdown.render(every)
    outside = re.sub(r"(?ms)^```mermaid\n.*?^```$", "", text)
    assert "```" not in outside
    assert not re.search(r"(?m)^# head|<script|<img|(?<!\\)\[x", outside)


def test_without_calls_there_are_no_pictures_of_them() -> None:
    text = page.render(Contents(NOW, "0.1.0", None, seen(running("chat"))))
    assert "Memory over time" not in text
    assert text.count("<svg") == 1
    assert "No sources were given to check." in text
    assert page.NOTHING_CALLS in text


def test_as_markdown() -> None:
    text = markdown.render(contents())
    assert text.startswith("# Memory of http://127.0.0.1:11434\n")
    assert text.count("```mermaid\n") == 2
    assert "HELD HERE: 100 MiB in 2 of 2" in text
    assert "1. **Free what no name reaches.**" in text
    assert "## Does it fit\n\nWhat is declared does not fit, the kernel would kill: 50 MiB pinned, 80 MiB with" in text
    row = "| code:latest | models.tf:7:1 | 30 MiB | not known | automatic; does not fit, 16 MiB too much, the kernel"
    assert row in text
    assert (
        "| see:latest | models.tf:12:1 |  |  | not known: the memory of the architecture 'mllama' is not known |"
        in text
    )
    assert (
        "## Before and after\n\nchat:latest, 8 rounds for each side, 1 at once: gain = \\(QPS\\_new - QPS\\_old\\)"
        in text
    )
    assert "| QPS | 12.00 | 30.00 |" in text
