"""Pieces of SVG. Colours are classes, so that a page, or a picture alone, is light or dark as its reader's system."""

from collections.abc import Iterator
from textwrap import wrap

from ollama_policy.commands.report.pictures.escaping import visible, xml

# Of text at 13 px in the usual sans-serif fonts, rather too wide than too narrow.
CHARACTER_WIDTH = 6.9

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --soft: #f3f5f7; --ink: #1b1f24; --muted: #525b66;
  --rule: #ccd3da; --blue: #0b5cad; --brown: #8a4b00; --violet: #6b3fb0; --held: #b3261e; --held-soft: #fdecea; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --soft: #1e2328; --ink: #e6e8eb; --muted: #a3adb8;
  --rule: #3b444d; --blue: #6cb6ff; --brown: #f0a35e; --violet: #c4a3ff; --held: #ff8b80; --held-soft: #3a1d1b; } }
.picture { font: 13px system-ui, sans-serif; background: var(--paper); }
.picture text { fill: var(--ink); }
.picture .muted { fill: var(--muted); }
.picture .strong { font-weight: 600; }
.picture .mark { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 5px; }
.picture .alarm { fill: var(--held); font-weight: 600; }
.picture .rule { stroke: var(--rule); fill: none; }
.picture .arrow { stroke: var(--ink); fill: none; }
.picture .answer { stroke: var(--ink); fill: none; stroke-dasharray: 5 4; }
.picture .tip { fill: var(--ink); }
.picture .lane { stroke: var(--rule); stroke-dasharray: 2 4; }
.picture .box { fill: var(--soft); stroke: var(--muted); }
.picture .note { fill: var(--soft); stroke: var(--rule); }
.picture .held { fill: var(--held-soft); stroke: var(--held); stroke-width: 2.5; stroke-dasharray: 7 4; }
.picture .total { stroke: var(--blue); fill: none; stroke-width: 2.5; }
.picture .server { stroke: var(--brown); fill: none; stroke-width: 2; stroke-dasharray: 8 4; }
.picture .estimate { stroke: var(--violet); fill: none; stroke-width: 2; stroke-dasharray: 2 3; }
.picture .event { stroke: var(--muted); stroke-dasharray: 4 3; }
.picture .call { stroke: var(--ink); stroke-width: 1; }
"""


def picture(name: str, title: str, description: str, size: tuple[float, float], body: str) -> str:
    """An inline picture; `name` is its own within the page."""
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-title" '
        f'aria-describedby="{name}-desc">\n'
        f'<title id="{name}-title">{xml(title)}</title>\n<desc id="{name}-desc">{xml(description)}</desc>\n'
        f"{body}\n</svg>"
    )


def alone(inline: str) -> str:
    """The picture as a file of its own."""
    start = inline.index(">") + 1
    head, rest = inline[:start], inline[start:]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n<style>{STYLE}</style>{rest}\n'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    classes = f' class="{kind}"' if kind else ""
    anchored = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:g}" y="{y:g}"{classes}{anchored}>{xml(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>'


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>'


def arrow(x1: float, x2: float, y: float, kind: str) -> str:
    """A level arrow with its tip at x2."""
    back = x2 - 9 if x2 > x1 else x2 + 9
    return line(x1, y, x2, y, kind) + _tip(f"{x2:g},{y:g} {back:g},{y - 4.5:g} {back:g},{y + 4.5:g}")


def arrow_down(x: float, y1: float, y2: float, *, both_ways: bool = False) -> str:
    drawn = line(x, y1, x, y2, "arrow") + _tip(f"{x:g},{y2:g} {x - 4.5:g},{y2 - 9:g} {x + 4.5:g},{y2 - 9:g}")
    return drawn + (_tip(f"{x:g},{y1:g} {x - 4.5:g},{y1 + 9:g} {x + 4.5:g},{y1 + 9:g}") if both_ways else "")


def _tip(points: str) -> str:
    return f'<polygon points="{points}" class="tip"/>'


def lines_of(words: str, width: float) -> list[str]:
    """The words on as many lines as such a width needs."""
    return wrap(visible(words), max(8, int(width / CHARACTER_WIDTH))) or [""]


def paragraph(x: float, y: float, lines: list[str], kind: str = "", anchor: str = "start") -> Iterator[str]:
    for number, words in enumerate(lines):
        yield text(x, y + 17 * number, words, kind, anchor)
