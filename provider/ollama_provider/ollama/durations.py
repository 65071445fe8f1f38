"""Go durations, as Ollama's request fields read them (time.ParseDuration), and Ollama's way of saying "forever"."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime  # 2 ms to a checker of durations, which needs no time of day

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
LONGEST = 2**63 - 1
_TERM = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
PATTERN = rf"^\+?(0|({_TERM.pattern})+)$"  # of durations that are not negative
_TAIL = 40  # characters, in which a unit that Go does not know is looked for
_HINTS = {
    "d": "Go durations have no days: write hours, such as 24h",
    "w": "Go durations have no weeks: write hours, such as 168h",
}


class InvalidDurationError(ValueError):
    """The text is not a Go duration; the message says why, and where it can, what to write instead."""


def parse(text: str) -> int:
    """Nanoseconds of a Go duration such as `5m`, `1h30m`, `1.5h`, `-1m` or `0`. Raises InvalidDurationError."""
    sign, unsigned = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if unsigned == "0":
        return 0
    total, position = 0, 0
    while match := _TERM.match(unsigned, position):
        number, unit = match.groups()
        whole, _, fraction = number.partition(".")
        total += _whole(whole) * NANOSECONDS[unit] + _part(fraction, NANOSECONDS[unit])
        position = match.end()
    if not unsigned or position != len(unsigned):
        raise InvalidDurationError(_why(unsigned))
    if total > LONGEST:
        raise InvalidDurationError("it is longer than the 292 years that Go can hold")
    return sign * total


def _whole(digits: str) -> int:
    significant = digits.lstrip("0")
    return LONGEST + 1 if len(significant) > len(str(LONGEST)) else int(significant or 0)


def _part(digits: str, scale: int) -> int:
    # As Go does it, in floating point and with no more digits than an int64 holds: 0.3333333333333333333h are 20m.
    digits = digits[:19] if int(digits[:19] or 0) <= LONGEST else digits[:18]
    return int(int(digits or 0) * (scale / 10 ** len(digits)))


def _why(unsigned: str) -> str:
    if re.fullmatch(r"[0-9]+", unsigned):
        return f"a unit is missing: write {unsigned}s for seconds"
    last_unit = re.search(r"[0-9]\s*([A-Za-z]+)\s*$", unsigned[-_TAIL:])
    hint = _HINTS.get(last_unit.group(1).lower()[:1]) if last_unit else None
    return hint or "a Go duration is numbers with units and no spaces: 300s, 5m, 1h30m"


def text(nanoseconds: int) -> str:
    """The shortest exact text of whole hours, minutes, seconds and a rest: 90 minutes are `1h30m`, none is `0s`."""
    if nanoseconds < 0:
        return "-" + text(-nanoseconds)
    parts = []
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, nanoseconds = divmod(nanoseconds, NANOSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def seconds(duration: str) -> float:
    """Seconds of a Go duration. Raises InvalidDurationError."""
    return parse(duration) / NANOSECONDS["s"]


def is_for_ever(expires_at: "datetime", now: "datetime | None" = None) -> bool:
    """Whether an expiry of /api/ps means "never": Ollama shows a pinned model as expiring about 292 years ahead."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - see above

    return expires_at - (now or datetime.now(UTC)) > timedelta(days=100 * 365)


def parse_time(text_of_time: str) -> "datetime":
    """An instant as Go writes it in JSON (RFC 3339 with up to nine digits of fraction). Raises ValueError."""
    from datetime import datetime  # noqa: PLC0415 - see above

    shortened = re.sub(r"(\.\d{6})\d+", r"\1", text_of_time)
    time = datetime.fromisoformat(shortened)
    if time.tzinfo is None:
        raise ValueError(f"a time without a zone: {text_of_time!r}")
    return time
