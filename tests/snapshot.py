"""Whole outputs beside those that were last looked at: a change of words shows itself in a diff.

`make snapshots` writes them anew.
"""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "snapshots"


class Snapshots:
    """The committed outputs, by name."""

    def __init__(self, *, are_updated: bool) -> None:
        self._are_updated = are_updated

    def match(self, name: str, text: str) -> None:
        """Fails where an output is not the committed one, but writes it where that is asked for."""
        path = FOLDER / name
        if self._are_updated:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        committed = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert text == committed, f"tests/snapshots/{name} differs: look at it, then run `make snapshots`"
