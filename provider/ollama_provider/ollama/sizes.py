"""Amounts of memory: one reader, told by which convention they are written, and one writer."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Final

MIB: Final = 2**20

_LONGEST: Final = 40
_BINARY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:([KMGTPE])I?)?B?", re.IGNORECASE | re.ASCII)
_OF_SYSTEMD: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([EPTGMKB]?)", re.ASCII)
_QUANTITY: Final = re.compile(
    r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)(?:([KMGTPE])i|([numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?", re.ASCII
)
_POWERS: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


class Convention(StrEnum):
    """How a format means an amount: `64G` is 64 * 10**9 bytes to Kubernetes alone, `64g` nothing to systemd."""

    BINARY = "binary"  # of Ollama, compose and docker (docker/go-units), and of the options and settings here
    SYSTEMD = "systemd"  # `8G`, `1G 512M`, the largest unit first (parse_size of its parse-util.c)
    KUBERNETES = "kubernetes"  # `8Gi`, `8G`, `1e9`, `500m` (apimachinery's resource.ParseQuantity)


def bytes_of(text: str, convention: Convention = Convention.BINARY) -> int | None:
    """The whole bytes of an amount; None where it is not one (`75%`, `infinity`, `-1`).

    Kubernetes' amounts are rounded up to whole bytes, others are cut, as their own readers do.
    """
    if len(text) > _LONGEST:
        return None
    if convention is Convention.KUBERNETES:
        return _quantity(text)
    if convention is Convention.SYSTEMD:
        return _sum(text)
    match = _BINARY.fullmatch(text)
    return int(Decimal(match[1]) * _times(match[2])) if match else None


def text_of(count: float) -> str:
    """Bytes for people, in the largest unit that they fill: `8 GiB`, `1.5 GiB`, `512 MiB`, `40 B`."""
    power = 0
    while abs(count) >= 1024 and power < len(_UNITS) - 1:
        count /= 1024
        power += 1
    return f"{count:.1f}".removesuffix(".0") + f" {_UNITS[power]}"


def _quantity(text: str) -> int | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    whole, _, fraction = match[1].partition(".")
    number, power = int(whole + fraction), -len(fraction)
    if match[2]:
        number *= _times(match[2])
    else:
        power += _POWERS[match[3]] if match[3] else int(match[4] or 0)
    return number * int(10**power) if power >= 0 else -(-number // int(10**-power))


def _sum(text: str) -> int | None:
    total, at, units = 0, 0, "EPTGMKB"
    while at < len(text):
        match = _OF_SYSTEMD.match(text, at)
        if match is None or (unit := match[2] or "B") not in units:
            return None
        units = units[units.index(unit) + 1 :]
        total += int(Decimal(match[1]) * _times(unit.replace("B", "")))
        at = match.end()
    return total if at else None


def _times(unit: str | None) -> int:
    return int(1024 ** " KMGTPE".index((unit or " ").upper()))
