"""How Go writes what YAML reads as another type: compose hands a container's variables on as texts."""

import re
from typing import Final

# How yaml.v3, which compose reads with, takes a plain scalar (its resolve.go).
_GO_INTEGER: Final = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|0[bB][01]{1,63}|0[oO]?[0-7]{1,21}|0|[1-9][0-9]{0,18})")
_GO_FLOAT: Final = re.compile(r"[+-]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]{1,3})?")
_GO_LARGE: Final = 6  # the power of ten from which on fmt.Sprint writes an exponent: 1e+06


def go_text(plain: str) -> str:
    """A plain scalar as compose hands it to a process: `0x10` is 16, `1_000` is 1000, `1.0` is 1, `True` is true."""
    if plain.lower() in ("true", "false") and plain in (plain.lower(), plain.upper(), plain.capitalize()):
        return plain.lower()
    digits = plain.replace("_", "")
    if not digits[:1].isascii() or not plain[:1].strip("_"):
        return plain
    if _GO_INTEGER.fullmatch(digits):
        unsigned = digits.lstrip("+-")
        is_octal = len(unsigned) > 1 and unsigned[0] == "0" and unsigned[1].isdecimal()
        number = int("0o" + unsigned[1:], 0) if is_octal else int(unsigned, 0)
        return str(-number if digits.startswith("-") else number)
    if _GO_FLOAT.fullmatch(digits) and len(digits) < 40:
        return _go_float(float(digits))
    return plain


def _go_float(value: float) -> str:
    """What fmt.Sprint makes of a number: the shortest digits, and an exponent where it is large or small."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    power = len(whole) - 1 + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return "0"
    sign = "-" if value < 0 else ""
    if -4 <= power < _GO_LARGE:
        return sign + repr(abs(value)).removesuffix(".0") if power >= 0 else f"{sign}0.{'0' * (-power - 1)}{digits}"
    return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{power:+03d}"
