"""What the fuzzers of the provider share: changed values, and what they keep of what broke."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from random import Random
from typing import Any, Protocol

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-300,
    "", " ", "a", "0", "-1", "5m", "5" * 400, "\x00", "\x1b[31m", "\n::error::x", "é", "🦙", "\ud800", "%s", "{}",
    "a" * 5000, "http://[::1", "../..", "2318-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+24:00",
    "llama3:latest", "registry/x/y/z:t", ":", "@", "sha256:" + "ab" * 32, [], {}, [[]], [None], {"a": None}, ["a"],
    [1, "a", {}], {"": ""}, {"name": 5}, [{"name": "a"}] * 3,
)  # fmt: skip


class BrokenError(Exception):
    """Something that must hold and does not."""


class Target(Protocol):
    """What is fuzzed: each step is one input."""

    name: str

    def step(self) -> tuple[str, bytes]:
        """Goes through one input, and says what it was. Raises BrokenError, and whatever should not be raised."""

    def close(self) -> None: ...


def changed(value: Any, random: Random) -> Any:
    """The value with one to four of its parts changed, in place of those that were."""
    for _ in range(random.choice((1, 1, 2, 4))):
        value = _changed(value, random)
    return value


def _changed(value: Any, random: Random) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.randrange(8):
            case 0:
                return {one: each for one, each in value.items() if one != key}
            case 1:
                return {**value, random.choice(("", "a", "size", "error", "name")): odd(random)}
        return {**value, key: _changed(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        match random.randrange(8):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value + [value[at]] * random.choice((1, 2, 50))
        return [*value[:at], _changed(value[at], random), *value[at + 1 :]]
    return odd(random)


def odd(random: Random) -> Any:
    return random.choice(_ODD)


def run(target: Target, *, seconds: float = float("inf"), inputs: int | None = None) -> tuple[int, dict[str, str]]:
    """How many inputs went through, and what broke, once a place."""
    until, count, crashes = time.monotonic() + seconds, 0, dict[str, str]()
    while time.monotonic() < until and (inputs is None or count < inputs):
        count += 1
        try:
            target.step()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - finding these is what it is for
            frames = traceback.extract_tb(error.__traceback__)
            key = f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}"
            crashes.setdefault(key, "".join(traceback.format_exception(error)[-12:]))
    return count, crashes


def lines(name: str, count: int, crashes: dict[str, str], took: float) -> Iterator[str]:
    yield f"{name}: {count:,} inputs, {count / max(took, 0.001):,.0f} a second, {len(crashes)} crashes"
    for key, trace in crashes.items():
        yield f"--- {key}\n{trace}"
