"""Commands of real engines, and of our own, run to their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Protocol, TypeVar

from tests.engines.errors import EngineError
from tests.engines.processes import stop_group


class Outcome(Protocol):
    """What a command did; `text` is all that it said."""

    @property
    def returncode(self) -> int: ...

    @property
    def text(self) -> str: ...


O_co = TypeVar("O_co", bound=Outcome, covariant=True)


class Running(Protocol[O_co]):
    """A command that leads its own process group."""

    def outcome(self, seconds: float = 0.0) -> O_co: ...


def finished(what: str, running: Running[O_co], *, check: bool, timeout: float) -> O_co:
    """What it did, at its end. Raises EngineError after `timeout` s, and with `check` where it fails."""
    assert isinstance(running, subprocess.Popen)
    began = time.monotonic()
    try:
        running.wait(timeout)
    except subprocess.TimeoutExpired as error:
        text = running.outcome().text
        raise EngineError(f"{what}: not done after {timeout:.0f} s\n{text}") from error
    finally:
        if running.poll() is None:
            stop_group(running)
    outcome: O_co = running.outcome(time.monotonic() - began)
    if check and outcome.returncode != 0:
        raise EngineError(f"{what}: exit status {outcome.returncode}\n{outcome.text}")
    return outcome


def policy(*arguments: str, timeout: float = 150) -> tuple[int, str]:
    """`ollama-policy` as a person runs it: its exit code, and all that it said."""
    command = [sys.executable, "-m", "ollama_policy", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    return ran.returncode, ran.stdout + ran.stderr


def killed_after(running: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kills a command and all in its process group after so long. Whether it was still running then."""
    time.sleep(seconds)
    is_running = running.poll() is None
    if is_running:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait(60)
    return is_running
