"""Amounts of memory.

Units and container commands write `8G`, `512m`, `1.5GiB`, all by 1024 (docker/go-units; systemd.syntax). Kubernetes
writes quantities: `8Gi` by 1024, `8G` by 1000, `1e9`, `129e6`, `500m` (apimachinery's resource.ParseQuantity).
"""

import re
from collections.abc import Callable
from typing import Final

from ollama_policy.model.settings import Setting, Unknown

_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGTPE]?)(?:I?B)?", re.IGNORECASE | re.ASCII)
_LONGEST: Final = 40
_QUANTITY: Final = re.compile(
    r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:([KMGTPE])i|([numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?", re.ASCII
)
_POWERS: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def bytes_of(text: str) -> int | None:
    """The bytes of an amount; None where it is none (`75%`, `infinity`, a variable)."""
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    return int(float(match[1]) * 1024 ** " KMGTPE".index(match[2].upper() or " "))


def sized(setting: Setting, read: Callable[[str], int | None] = bytes_of) -> Setting:
    """The setting of an amount, its text made bytes."""
    if isinstance(setting.value, str):
        size = read(setting.value)
        setting.value = Unknown(f"{setting.value} is not a size") if size is None else size
    return setting


def quantity_of(text: str) -> int | None:
    """The whole bytes of a Kubernetes quantity, rounded up; None where it is none, or below nothing."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or match[1] == "-":
        return None
    whole, _, fraction = match[2].partition(".")
    number, power = int(whole + fraction), -len(fraction)
    if match[3]:
        number *= 1024 ** " KMGTPE".index(match[3])
    else:
        power += _POWERS[match[4]] if match[4] else int(match[5] or 0)
    return number * int(10**power) if power >= 0 else -(-number // int(10**-power))
