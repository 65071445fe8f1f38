"""Tables in docs/memory.md that the commands write, each between two marks that name it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[1] / "docs" / "memory.md"


def write_table(name: str, text: str, path: Path = DOCS) -> None:
    """Put `text` in place of what is between the marks. Raises ValueError where the file has none of that name."""
    before = path.read_text()
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    parts = re.split(f"({re.escape(start)}).*?({re.escape(end)})", before, flags=re.DOTALL)
    if len(parts) != 4:
        raise ValueError(f"{path}: expected one {start.strip()!r} and one {end!r} after it")
    path.write_text("".join((parts[0], start, text.strip(), "\n", *parts[2:])))
