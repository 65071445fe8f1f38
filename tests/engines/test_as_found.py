"""Commands that load and call models leave a real server as they found it: at their end, and when they are cut off."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.engines.observing import call, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.running import policy
from tests.engines.toolchain import Ollama
from tests.promptness import assert_took_less

pytestmark = pytest.mark.engines

QUICK = {
    "probe": ("probe", "tiny", "--calls", "4", "--tokens", "2"),
    "pinned": ("bench", "pinned", "tiny", "--rounds", "4", "--calls", "2", "--tokens", "2"),
    "aligned": ("bench", "aligned", "tiny", "--rounds", "4", "--calls", "2", "--tokens", "2"),
    "report": ("report", "--model", "tiny", "--calls", "4", "-o", "/dev/null"),
}
LONG = {
    "probe": ("probe", "tiny", "--calls", "9999", "--tokens", "50"),
    "bench": ("bench", "aligned", "tiny", "--rounds", "99"),
    "report": ("report", "--model", "tiny", "--calls", "9999", "-o", "/dev/null"),
}
STATES: dict[str, dict[str, Any] | None] = {
    "absent": None,
    "pinned": {"keep_alive": -1, "options": {"num_predict": 2, "num_ctx": 512}},
    "timed": {"keep_alive": "30m"},
}


def state(ollama: OllamaServer) -> dict[str, tuple[str, int, str]]:
    """Digest, context and expiry of what is in memory; an expiry to the nearest that matters."""
    found = {}
    for model in ollama.ps():
        left = (datetime.fromisoformat(model["expires_at"]) - datetime.now().astimezone()).total_seconds()
        ends = "never" if left > 10**9 else f"in about {round(left / 600) * 10} min"
        found[model["name"]] = (model["digest"], model["context_length"], ends)
    return found


@pytest.fixture
def models(ollama: OllamaServer, ggufs: Callable[..., Path]) -> None:
    for seed, name in enumerate(("tiny", "other"), 41):
        ollama.create_from_gguf(name, ggufs(seed), parameters={"num_thread": 1})


def found_with(ollama: OllamaServer, how: str) -> dict[str, tuple[str, int, str]]:
    call(ollama, "other", keep_alive="40m")
    if (fields := STATES[how]) is not None:
        call(ollama, "tiny", **fields)
    before = state(ollama)
    assert len(before) == (1 if how == "absent" else 2)
    return before


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("what", "how"), [*((what, "pinned") for what in QUICK), ("pinned", "timed"), ("probe", "timed")]
)
def test_at_its_end(ollama: OllamaServer, what: str, how: str) -> None:
    before = found_with(ollama, how)
    code, said = policy(*QUICK[what], "--host", ollama.url)
    assert code in (0, 2), said  # 2: so few calls are not proof
    assert "Error" not in said
    assert state(ollama) == before


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("what", "how"), [("probe", "absent"), ("bench", "absent"), ("bench", "pinned"), ("report", "timed")]
)
def test_when_it_is_cut_off(ollama: OllamaServer, what: str, how: str) -> None:
    before = found_with(ollama, how)
    since = ollama.mark()
    command = [sys.executable, "-m", "ollama_policy", *LONG[what], "--host", ollama.url]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as started:
        wait_until(
            lambda: sum(request.path == "/api/generate" for request in ollama.requests(since)) > 5, "it is under way"
        )
        began = time.monotonic()
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=60)
        ended = time.monotonic()
    assert started.returncode == 130, said
    assert "Traceback" not in said
    if what != "bench":
        [line] = [one for one in said.splitlines() if one.startswith("cut off: ")]
        assert " of 9999 calls, " in line
        assert line.endswith(f"nothing is decided; {ollama.url} is left as it was found")
    wait_until(lambda: state(ollama) == before, f"it is as it was: {before}")
    assert_took_less(2, began, ended)  # a second, and a load where the model was in memory


@pytest.fixture
def one_at_once(engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path) -> Iterator[OllamaServer]:
    """A server that holds one model at once, and has two."""
    with OllamaServer(engine.program, tmp_path, {"OLLAMA_MAX_LOADED_MODELS": "1"}) as server:
        for seed, name in enumerate(("tiny", "other"), 41):
            server.create_from_gguf(name, ggufs(seed), parameters={"num_thread": 1})
        yield server


def test_what_was_evicted_is_loaded_again(one_at_once: OllamaServer) -> None:
    call(one_at_once, "other", keep_alive="40m")
    before = state(one_at_once)
    code, said = policy(*QUICK["probe"], "--host", one_at_once.url)
    assert (code, "Error" in said) == (2, False), said
    assert state(one_at_once) == before


def test_no_pinned_model_is_evicted(one_at_once: OllamaServer) -> None:
    call(one_at_once, "other", keep_alive=-1)
    runners = [runner.pid for runner in one_at_once.runners()]
    for command in ("probe", "aligned"):
        for options in ((), ("--plan",)):
            code, said = policy(*QUICK[command], *options, "--host", one_at_once.url)
            assert code == 2
            assert "holds 1 model at once (OLLAMA_MAX_LOADED_MODELS), and other:latest is pinned: the load of" in said
    assert [runner.pid for runner in one_at_once.runners()] == runners


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("what", QUICK)
def test_a_plan_says_what_would_be_done_and_does_nothing(ollama: OllamaServer, what: str) -> None:
    before = found_with(ollama, "pinned")
    since = ollama.mark()
    command = [one for one in QUICK[what] if one not in ("-o", "/dev/null")]
    code, said = policy(*command, "--plan", "--host", ollama.url)
    assert code == 0, said
    assert said.startswith(f"on {ollama.url} this would\n  ")
    assert "in the end tiny:latest is in memory, pinned, as now\n" in said
    assert "of other:latest, what Ollama evicts meanwhile is loaded again\n" in said
    assert said.endswith("nothing was done\n")
    assert {request.method for request in ollama.requests(since)} == {"GET"}
    assert state(ollama) == before
