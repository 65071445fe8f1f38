"""A long pull is visible to whoever looks at `terraform apply`, and is not noise where nobody does."""

import contextlib
import fcntl
import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TerraformMaker
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.terraform_stack import TerraformStack, configuration

pytestmark = pytest.mark.engines


@pytest.fixture
def slow(terraform_of: TerraformMaker, registry: Registry, ggufs: Callable[..., Path]) -> TerraformStack:
    """A pull of about eight seconds."""
    registry.push("big:latest", ggufs(7, layers=8, width=512))
    registry.bytes_per_second = 3_000_000
    return terraform_of(configuration(m={"name": registry.reference("big:latest"), "insecure": True}))


def in_a_terminal(stack: TerraformStack, *command: str, timeout: float = 60, **environment: str) -> str:
    """What a person sees who runs a command in a terminal of their own."""
    master, slave = os.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    running = subprocess.Popen(
        [stack.binary, *command],
        cwd=stack.project,
        env={**stack.environment, **environment},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=take_terminal,  # noqa: PLW1509 - all that it needs is loaded before the fork
    )
    os.close(slave)
    seen = b""
    give_up = time.monotonic() + timeout
    with contextlib.suppress(OSError):  # the terminal is gone with its last user
        while time.monotonic() < give_up:
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 2**16)
            elif running.poll() is not None:
                break
    os.close(master)
    running.kill()
    running.wait(60)
    return seen.decode(errors="replace").replace("\r\n", "\n")


def test_a_person_sees_bytes_rate_and_time_left_every_five_seconds(slow: TerraformStack, ollama: OllamaServer) -> None:
    seen = in_a_terminal(slow, "apply", "-auto-approve", "-no-color")
    lines = [line for line in seen.splitlines() if ": pulling" in line]
    assert any(re.search(r"big:latest: pulling \d+% of 36\.5 MiB, \d\.\d MiB/s, \d+s left", line) for line in lines), (
        seen
    )
    assert "Apply complete!" in seen


def test_nothing_of_it_is_in_the_log_of_a_ci_job(slow: TerraformStack, registry: Registry) -> None:
    registry.bytes_per_second = None
    seen = in_a_terminal(slow, "apply", "-auto-approve", "-no-color", CI="true")
    assert ": pull" not in seen
    assert "Apply complete!" in seen
    slow.destroy()
    assert ": pull" not in slow.run("apply", "-auto-approve", "-no-color").text


def test_the_log_has_a_line_a_step_for_those_who_ask(slow: TerraformStack, registry: Registry) -> None:
    registry.bytes_per_second = None
    slow.environment["TF_LOG_PROVIDER"] = "info"
    text = slow.run("apply", "-auto-approve", "-no-color").text
    steps = [line for line in text.splitlines() if "[INFO]" in line and "big:latest: pull" in line]
    assert len(steps) == 2, text
    assert "HTTP Request" not in text
