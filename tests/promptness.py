"""A claim about time on a machine that may be busy with something else: it holds if one of three tries is in time.

A test that fails by TooSlowError alone is run again, up to twice (`--only-rerun` in pyproject.toml), and is named.
"""

import time


class TooSlowError(AssertionError):
    """What was to happen happened, and took longer than it may."""


def assert_took_less(seconds: float, began: float, ended: float | None = None) -> None:
    """Both are of time.monotonic(), and the end is now where it is not given. Raises TooSlowError."""
    took = (time.monotonic() if ended is None else ended) - began
    if took >= seconds:
        raise TooSlowError(f"it took {took:.2f} s, expected less than {seconds:g} s")
