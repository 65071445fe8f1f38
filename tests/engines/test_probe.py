"""The probe both ways: a real model is not called leaking, and a planted leak is."""

from pathlib import Path
from typing import Any

import pytest

from tests.engines.fake_leaking_ollama import leaking
from tests.engines.observing import pinned, resident
from tests.engines.ollama_server import OllamaServer
from tests.engines.running import policy
from tests.schemas import valid

pytestmark = pytest.mark.engines
MIB = 2**20


def probe(*arguments: str) -> tuple[int, str]:
    return policy("probe", *arguments)


@pytest.fixture
def model(ollama: OllamaServer, tiny: Path) -> str:
    ollama.create_from_gguf("tiny", tiny, parameters={"num_thread": 1})
    return "tiny"


def test_a_real_model_is_not_called_leaking_and_its_unload_gives_its_memory_back(
    ollama: OllamaServer, model: str
) -> None:
    code, text = probe(model, "--host", ollama.url, "--format", "json", "--tokens", "2")
    assert code == 0, text
    found: dict[str, Any] = valid("probe", text)
    assert found["verdict"]["kind"] != "leak"
    assert len(found["calls"]) == 60
    [idle] = [s for s in found["samples"] if s["phase"] == "idle"]
    [unload] = [s for s in found["samples"] if s["phase"] == "unload"]
    assert idle["runners"] > 20 * MIB
    assert unload["runners"] == 0
    assert resident(ollama) == []


def test_a_model_that_was_pinned_is_left_pinned(ollama: OllamaServer, model: str) -> None:
    ollama.call("POST", "/api/generate", {"model": model, "keep_alive": -1}).raise_for_status()
    code, text = probe(model, "--host", ollama.url, "--calls", "24", "--concurrency", "4", "--tokens", "2")
    assert code == 2, text  # six rounds of four are too few to judge by
    assert "the model was in memory before, and was left there" in text
    assert pinned(ollama) == ["tiny:latest"]


def test_a_planted_leak_is_found_by_its_slope() -> None:
    with leaking(MIB) as url:
        code, text = probe("tiny", "--host", url)
    assert code == 1, text
    assert "leak: every call adds the same, long after the warm-up" in text


def test_a_fake_that_keeps_nothing_is_steady() -> None:
    with leaking(0) as url:
        code, text = probe("tiny", "--host", url)
    assert code == 0, text


def test_a_model_that_is_not_there_and_a_server_that_is_not_there(ollama: OllamaServer) -> None:
    code, text = probe("none", "--host", ollama.url)
    assert (code, "not found" in text, "Traceback" in text) == (2, True, False), text
    code, text = probe("none", "--host", "127.0.0.1:1")
    assert (code, "no connection" in text, "Traceback" in text) == (2, True, False), text
