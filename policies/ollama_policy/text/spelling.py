"""`did you mean OLL001?`"""

from collections.abc import Collection


def suggestion(word: str, known: Collection[str]) -> str:
    """What was probably meant, as a question; empty where nothing is close."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    close = get_close_matches(word, list(known), 1, 0.5)
    return f"did you mean {close[0]}?" if close else ""
