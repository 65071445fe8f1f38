"""The verification table on a real server."""

from pathlib import Path

import pytest

from tests.engines.ollama_server import OllamaServer
from tests.engines.running import policy
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.alone]


def bench(*arguments: str) -> tuple[int, str]:
    return policy("bench", *arguments)


@pytest.fixture
def model(ollama: OllamaServer, tiny: Path) -> str:
    ollama.create_from_gguf("tiny", tiny, parameters={"num_thread": 1})
    return "tiny"


@pytest.mark.parametrize("case", ["pinned", "aligned"])
def test_a_model_that_stays_answers_sooner(ollama: OllamaServer, model: str, case: str) -> None:
    rounds = ("--rounds", "4", "--calls", "4", "--tokens", "2")
    code, text = bench(case, model, "--host", ollama.url, "--format", "json", *rounds)
    assert code == 0, text
    found = valid("bench", text)
    assert found["gain"]["low"] > 0
    assert found["new"]["first_token_p50"] < found["old"]["first_token_p50"]
    assert found["old"]["errors"] == found["new"]["errors"] == 0
    assert found["old"]["calls"] == found["new"]["calls"] == 16


def test_the_documents_table(ollama: OllamaServer, model: str) -> None:
    """A server against itself: whatever it says, it says it with its interval."""
    rounds = ("--rounds", "4", "--calls", "4", "--tokens", "2", "--concurrency", "2")
    code, text = bench("servers", model, "--host", ollama.url, "--other-host", ollama.url, *rounds)
    assert code == 0, text
    assert "(QPS_new - QPS_old) / QPS_old" in text
    assert "95% sure between" in text


def test_what_cannot_be_measured_is_one_line(ollama: OllamaServer) -> None:
    for arguments in (["servers", "tiny"], ["pinned", "none"], ["pinned", "none", "--other-host", "x"]):
        code, text = bench(*arguments, "--host", ollama.url)
        assert (code, text.startswith("Error: "), text.count("\n")) == (2, True, 1), text
