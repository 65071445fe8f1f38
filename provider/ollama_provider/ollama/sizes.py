"""Amounts of memory as people write them."""

import re
from typing import Final

_AMOUNT: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([KMGTP]?)(?:I?B)?", re.IGNORECASE | re.ASCII)


def bytes_of(text: str) -> int | None:
    """The bytes of `64GiB`, `64G`, `1.5 GB` or `68719476736`, all by 1024; None where it is not an amount."""
    match = _AMOUNT.fullmatch(text.strip())
    return int(float(match[1]) * 1024 ** " KMGTP".index(match[2].upper() or " ")) if match else None


def exact_text_of(count: float) -> str:
    """An amount in the unit that leaves up to four digits: `512 B`, `1.5 KiB`, `2048.0 TiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def text_of(count: int) -> str:
    """An amount for people: `512 MiB`, `1.5 GiB`."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
