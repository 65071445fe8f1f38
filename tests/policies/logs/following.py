"""`ollama-policy logs -f` as a person runs it, with Ctrl-C at its end."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.promptness import assert_took_less

PROGRAM = Path(sys.executable).parent / "ollama-policy"


class Following:
    """`ollama-policy logs -f`, and the lines that it has written so far."""

    def __init__(self, *arguments: str | Path, stdin: int = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, "logs", "-f", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode())

    def wait_for(self, text: str) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for line in self.lines:
                if text in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"not written within 10 s: {text}; but {self.lines}")

    def interrupt(self) -> int:
        """The exit code. Raises TooSlowError."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        assert_took_less(1, began)
        self._thread.join()
        return code


@contextlib.contextmanager
def following(*arguments: str | Path, stdin: int = subprocess.DEVNULL) -> Iterator[Following]:
    run = Following(*arguments, stdin=stdin)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()
