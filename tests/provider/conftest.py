"""A server that misbehaves on demand, for all that is tested without a real one."""

from collections.abc import Iterator

import pytest

from tests.engines.faulty_ollama import Exchange, FakeOllamaWithFaults


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllamaWithFaults]:
    # It writes head and body apart, and Nagle's algorithm would hold up every answer for 40 ms.
    monkeypatch.setattr(Exchange, "disable_nagle_algorithm", True)
    with FakeOllamaWithFaults() as fake:
        yield fake
