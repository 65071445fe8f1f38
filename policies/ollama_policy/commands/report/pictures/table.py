"""A table, which is there beside each picture: for those who do not see it, and for those who want the figures."""

from typing import NamedTuple

from ollama_policy.commands.report.pictures.escaping import visible, xml
from ollama_policy.formats.markdown import cell


class Table(NamedTuple):
    """Texts as they came: escaped only where they are written."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_html(table: Table, *, stacks: bool = False) -> str:
    """In a box of its own that scrolls, by keyboard too, where the screen is narrower.

    One that stacks has its cells one below the other there; the roles keep it a table for those who listen.
    """
    heads = "".join(f'<th scope="col" role="columnheader">{xml(head)}</th>' for head in table.heads)
    rows = "\n".join(f'<tr role="row">{"".join(map(_cell, table.heads, row))}</tr>' for row in table.rows)
    kind = ' class="stacks"' if stacks else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{xml(table.caption)}">'
        f'<table role="table"{kind}><caption>{xml(table.caption)}</caption>\n'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{rows}\n</tbody></table></div>'
    )


def _cell(head: str, words: str) -> str:
    return f'<td role="cell" data-head="{xml(head)}">{xml(words)}</td>'


def as_markdown(table: Table) -> str:
    rows = [table.heads, *table.rows]
    lines = [f"| {' | '.join(cell(visible(one)) for one in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(table.heads), *lines[1:]])
