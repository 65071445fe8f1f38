"""The verification table on a real server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engines.observing import call, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.running import policy
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.alone]


def bench(*arguments: str) -> tuple[int, str]:
    return policy("bench", *arguments)


@contextmanager
def calling(server: OllamaServer, name: str) -> Iterator[None]:
    """Another client, which calls a model again and again once the first call of this one is over."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.005):
            if server.ps():
                call(server, name)

    client = threading.Thread(target=work)
    client.start()
    try:
        yield
    finally:
        is_over.set()
        client.join()


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


def test_a_cold_side_that_would_end_the_runner_of_another_name_is_refused(ollama: OllamaServer, model: str) -> None:
    ollama.call("POST", "/api/copy", {"source": model, "destination": "twin"})
    call(ollama, "twin", keep_alive=-1)
    before = [one.pid for one in ollama.runners()]
    for more in ((), ("--plan",)):
        code, text = bench("pinned", model, "--host", ollama.url, *more)
        assert (code, "twin:latest has the same weights" in text) == (2, True), text
    assert ([one.pid for one in ollama.runners()], pinned(ollama)) == (before, ["twin:latest"])


def test_what_another_client_loads_meanwhile_is_not_called_cold(ollama: OllamaServer, model: str) -> None:
    """A busy server: either no cold call was to be had, or some were warm. Neither comes to a table."""
    ollama.call("POST", "/api/copy", {"source": model, "destination": "twin"})
    with calling(ollama, "twin"):
        code, text = bench("pinned", model, "--host", ollama.url, "--rounds", "8", "--calls", "4", "--tokens", "2")
    assert (code, text.startswith("Error: ")) == (2, True), text
    assert "another client" in text or "twin:latest has the same weights" in text, text
    assert "QPS" not in text
