"""The picture of memory: every call, load and release is marked, and no peak is lost."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from ollama_policy.commands.report.pictures import memory, svg
from tests.policies.report.examples import HOSTILE, probed

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314 - our own


def test_calls_loads_and_releases_are_marked() -> None:
    picture = memory.picture(probed(30))
    [calls] = re.findall(r'<path d="([^"]*)" class="call"', picture)
    assert calls.count("M") == 30
    assert {"loaded", "idle", "released: timer ran out", "loaded again", "released: unloaded"} <= set(texts(picture))
    assert picture.count("<polyline") == 3


def test_words_of_events_do_not_meet() -> None:
    root = ElementTree.fromstring(memory.picture(probed(600)))  # noqa: S314
    marks = [one for one in root.iter(f"{SVG}text") if one.get("class") == "mark"]
    spans: dict[str, list[tuple[float, float]]] = {}
    for mark in marks:
        x, width = float(mark.get("x", "")), len(mark.text or "") * svg.CHARACTER_WIDTH
        spans.setdefault(mark.get("y", ""), []).append((x - width, x) if mark.get("text-anchor") else (x, x + width))
    for row in spans.values():
        row.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(row)), row


def test_thousands_of_calls_keep_their_peak_and_stay_small() -> None:
    account = probed(1_500, growth=1)
    picture = memory.picture(account)
    assert len(picture) < 100_000
    assert "2,000" in texts(picture)
    *_, calls = memory.tables(account)
    assert len(calls.rows) <= 121
    assert calls.caption.endswith("one in 13")


def test_processes_that_are_not_seen_leave_the_estimate() -> None:
    account = probed(unseen="box is another machine")
    picture = memory.picture(account)
    assert picture.count("<polyline") == 1
    assert "whether it leaks is not known: box is another machine" in memory.description(account)
    assert next(memory.tables(account)).rows[0][3] == "not seen"


def test_a_hostile_name_is_a_name() -> None:
    root = ElementTree.fromstring(memory.picture(probed(model=HOSTILE)))  # noqa: S314
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        *("svg", "title", "desc", "line", "text", "polyline", "path"),
    }
    assert "</title></style><script>" in (root.findtext(f"{SVG}title") or "")


@pytest.mark.parametrize(
    ("highest", "expected"), [(0, [0, 1]), (9.9, [0, 2, 4, 6, 8, 10]), (100, [0, 20, 40, 60, 80, 100])]
)
def test_ticks_are_round(highest: float, expected: list[float]) -> None:
    assert memory._ticks(highest) == pytest.approx(expected)


def test_alone_it_brings_its_colours() -> None:
    file = svg.alone(memory.picture(probed()))
    assert file.startswith("<?xml")
    assert "prefers-color-scheme: dark" in file
    assert ElementTree.fromstring(file.partition("\n")[2]).tag == f"{SVG}svg"  # noqa: S314
