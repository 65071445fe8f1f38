"""The report in a real browser without a window: light and dark, on a phone, by keyboard, and to a screen reader.

Pictures of it stay in pytest's folder of the test, to be looked at.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollama_policy.commands.report import page
from ollama_policy.commands.report.contents import Contents
from ollama_policy.commands.report.pictures import memory, svg
from tests.engines.browser import Page, browser
from tests.engines.chromium import find_or_fetch_chromium
from tests.policies.report.examples import HOSTILE, NOW, contents, probed, running, seen

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    chromium = find_or_fetch_chromium(lambda line: print(line, file=sys.__stderr__, flush=True))
    with browser(chromium, tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened


@pytest.fixture
def report(tmp_path: Path) -> Path:
    file = tmp_path / "report.html"
    file.write_text(page.render(contents()), encoding="utf-8")
    return file


def colour(opened: Page, of: str, what: str) -> list[int]:
    value = opened.value(f"getComputedStyle(document.querySelector('{of}')).{what}")
    return [int(one) for one in value.removeprefix("rgb(").removesuffix(")").split(",")]


def brightness(of: list[int]) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    linear = [one / 255 / 12.92 if one <= 10 else ((one / 255 + 0.055) / 1.055) ** 2.4 for one in of]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("is_dark", [False, True])
def test_light_and_dark(opened: Page, report: Path, is_dark: bool) -> None:
    opened.show(report, 1100, 900, is_dark=is_dark)
    opened.picture(report.parent / ("dark.png" if is_dark else "light.png"))
    paper = brightness(colour(opened, "body", "backgroundColor"))
    assert (paper < 0.1) is is_dark
    inks = [("body", "color"), ("figcaption", "color"), ("summary", "color"), (".alarm", "fill"), (".muted", "fill")]
    for of, what in [*inks, (".total", "stroke"), (".server", "stroke"), (".estimate", "stroke")]:
        lighter, darker = sorted((paper, brightness(colour(opened, of, what))), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (of, "has too little contrast")


def test_it_asks_for_nothing(opened: Page, report: Path) -> None:
    opened.requests.clear()
    opened.show(report, 1100, 900)
    assert opened.requests == [report.as_uri()]


def test_on_a_phone_the_page_does_not_move_sideways(opened: Page, report: Path) -> None:
    opened.show(report, 360, 780, is_phone=True)
    opened.value("document.querySelectorAll('details').forEach(one => one.open = true)")
    opened.picture(report.parent / "phone.png")
    assert opened.value("document.documentElement.scrollWidth") == 360
    assert opened.value("getComputedStyle(document.querySelector('.hint')).display") == "block"
    heights = opened.value("[...document.querySelectorAll('nav a, summary')].map(one => one.offsetHeight)")
    assert min(heights) >= 40  # as high as a finger needs


def test_text_stays_inside_the_pictures(opened: Page, report: Path) -> None:
    opened.show(report, 1100, 900)
    outside = """[...document.querySelectorAll('svg')].flatMap(picture => {
        const all = picture.getBoundingClientRect()
        return [...picture.querySelectorAll('text')].filter(one => {
            const box = one.getBoundingClientRect()
            return box.left < all.left || box.right > all.right || box.top < all.top || box.bottom > all.bottom
        }).map(one => one.textContent)})"""
    assert opened.value(outside) == []


def test_by_keyboard_everything_is_reached_and_opened(opened: Page, report: Path) -> None:
    opened.show(report, 1100, 900)
    assert opened.value("document.querySelectorAll('details[open]').length") == 0
    focused, closed = [], opened.value("document.querySelectorAll('details').length")
    for _ in range(60):
        opened.press("Tab", 9)
        focused.append(opened.value("document.activeElement.tagName + ' ' + document.activeElement.className"))
        if focused[-1].startswith("SUMMARY"):
            opened.press("Enter", 13, "\r")
        if focused[-1].startswith("BODY"):
            break
    assert focused[0] == "A skip"
    assert opened.value("document.querySelectorAll('details[open]').length") == closed == 5
    assert sum(one.startswith("DIV scroll") for one in focused) == opened.value(
        "document.querySelectorAll('.scroll').length"
    )


def test_a_screen_reader_is_told_of_pictures_and_tables(opened: Page, report: Path) -> None:
    opened.show(report, 360, 780, is_phone=True)
    opened.value("document.querySelectorAll('details').forEach(one => one.open = true)")
    roles = opened.roles()
    names = {name for role, name in roles if role in ("image", "img", "graphics-document", "SvgRoot")}
    assert {"Measured calls of chat:latest", "Ollama's architecture, and where memory is held"} <= names
    assert "m, r and what is held, call by call" in {name for role, name in roles if role == "table"}
    assert {"main", "navigation", "contentinfo"} <= {role for role, _ in roles}
    # Stacked cells are a table still.
    assert "On the server" in {name for role, name in roles if role == "table"}


def test_hostile_words_run_nothing(opened: Page, tmp_path: Path) -> None:
    file = tmp_path / "hostile.html"
    hostile = Contents(NOW, HOSTILE, probed(model=HOSTILE), seen(running("chat"), version=HOSTILE, url=HOSTILE))
    file.write_text(page.render(hostile), encoding="utf-8")
    opened.requests.clear()
    opened.show(file, 1100, 900)
    assert opened.requests == [file.as_uri()]
    assert opened.value("document.querySelectorAll('script, img, iframe').length") == 0


def test_the_picture_alone(opened: Page, tmp_path: Path) -> None:
    file = tmp_path / "memory.svg"
    file.write_text(svg.alone(memory.picture(probed(60, growth=1))), encoding="utf-8")
    opened.show(file, 800, 450, is_dark=True)
    opened.picture(tmp_path / "memory.png")
    assert brightness(colour(opened, "svg", "backgroundColor")) < 0.1
