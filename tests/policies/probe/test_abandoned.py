"""What is taken for a runner that Ollama started and lost, by processes that are as they say; and what never is."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from ollama_policy.live.runners import abandoned
from ollama_policy.live.runners.abandoned import Abandoned, abandoned_runners

BLOB = f"/models/blobs/sha256-{'a' * 64}"
OLLAMAS = ["serve", "--model", BLOB, "--port", "1", "--host", "127.0.0.1", "--no-webui", "--offline", "-c", "512"]
OLLAMAS += ["-np", "1", "--log-verbosity", "4", "--no-log-prefix", "--no-log-timestamps", "--load-mode", "none"]
SERVES = """import socket, time
served = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(served.getsockname())
at, _ = served.accept()
print('up', flush=True); time.sleep(60)"""
SLEEP = "import sys, time; print('up', flush=True); time.sleep(60)"


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Started"]:
    """Starts processes by a command line of a test's own. That their parent is init is said, not so."""
    monkeypatch.setattr(abandoned, "_is_init", lambda pid, name: True)
    with ExitStack() as stack:
        yield Started(tmp_path, stack)


class Started:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def __call__(self, program: str, *arguments: str, script: str = SLEEP) -> psutil.Process:
        """Python under another name, which runs a file that is named as the program's first argument, `runner`."""
        link = self._folder / program
        link.symlink_to(sys.executable)
        (self._folder / arguments[0]).write_text(script)
        started = subprocess.Popen([link, *arguments], stdout=subprocess.PIPE, text=True, cwd=self._folder)
        process = self._stack.enter_context(started)
        self._stack.callback(process.kill)
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        return psutil.Process(process.pid)


def found(process: psutil.Process) -> list[Abandoned]:
    return [one for one in abandoned_runners() if one.pid == process.pid]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("llama-server", OLLAMAS), ("ollama", ["runner", "--ollama-engine", "--model", BLOB, "--port", "1"])],
    ids=["from 0.30 on", "before"],
)
def test_a_runner_as_ollama_starts_it(started: Started, program: str, arguments: list[str]) -> None:
    [one] = found(started(program, *arguments))
    assert (one.blob, one.path, one.is_own) == (f"sha256:{'a' * 64}", BLOB, True)
    assert one.resident > 0


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("llama-server", ["serve", "--model", BLOB, "--port", "8080"]),  # a person's own, even on a blob of Ollama's
        ("llama-server", ["serve", "--model", "/home/me/qwen3.gguf", "--no-webui", "--offline"]),
        ("llama-server", ["serve", "--no-webui", "--offline"]),
        # With Ollama's flags, on a blob of Ollama's, in an order of a person's own.
        ("llama-server", ["serve", "--host", "127.0.0.1", "--port", "1", "--offline", "--no-webui", "--model", BLOB]),
        ("llama-server", OLLAMAS[: OLLAMAS.index("--log-verbosity")]),
        ("python3", OLLAMAS),
        ("vllm", ["runner", "--model", BLOB]),
    ],
)
def test_what_a_person_started_is_never_taken_for_one(started: Started, program: str, arguments: list[str]) -> None:
    assert found(started(program, *arguments)) == []


def test_one_that_serves_somebody_is_never_taken_for_one(started: Started) -> None:
    assert found(started("llama-server", *OLLAMAS, script=SERVES)) == []


def test_what_has_a_parent_that_may_want_it_is_not_abandoned(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    process = started("llama-server", *OLLAMAS)
    monkeypatch.undo()
    assert found(process) == []


@pytest.mark.parametrize(
    ("pid", "name", "expected"),
    [(1, "systemd", True), (1, "anything", True), (1, "ollama", False), (900, "systemd", True), (900, "bash", False)],
)
def test_who_only_collects_what_has_lost_its_parent(pid: int, name: str, expected: bool) -> None:
    assert abandoned._is_init(pid, name) is expected
