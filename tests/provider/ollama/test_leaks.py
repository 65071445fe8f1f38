"""Which releases are known to leak, and in which the leaks are fixed."""

import pytest

from ollama_provider.ollama.leaks import LEAKS, fixed_in, leaks_in
from ollama_provider.ollama.versions import Version, version_in


@pytest.mark.parametrize(
    ("version", "count", "fixed"),
    [
        ((0, 5, 13), 0, (0, 5, 13)),
        ((0, 6, 5), 2, (0, 7, 1)),
        ((0, 6, 7), 3, (0, 7, 1)),
        ((0, 7, 0), 1, (0, 7, 1)),
        ((0, 7, 1), 0, (0, 7, 1)),
        ((0, 31, 0), 0, (0, 31, 0)),
        ((0, 34, 3), 0, (0, 34, 3)),
    ],
)
def test_leaks(version: Version, count: int, fixed: Version) -> None:
    assert len(leaks_in(version)) == count
    assert fixed_in(version) == fixed
    assert leaks_in(fixed) == []


def test_every_leak_is_fixed_after_it_came() -> None:
    assert all(leak.first < leak.fixed for leak in LEAKS)


@pytest.mark.parametrize(
    ("text", "version"),
    [("0.17.4", (0, 17, 4)), ("v0.5.4-rocm", (0, 5, 4)), ("0.33.0-rc2", (0, 33, 0)), ("latest", None), ("0.5", None)],
)
def test_versions(text: str, version: Version | None) -> None:
    assert version_in(text) == version
