"""Showing what is under way: Terraform has no call for it, so it goes to the terminal of whoever looks.

A provider's output reaches nobody, unless TF_LOG asks for it. But the provider shares the controlling terminal with
Terraform: there each line appears among Terraform's own. Where there is no terminal, as in CI, Terraform's own "Still
creating..." stays alone, and the lines are in the log for TF_LOG=info.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable

_log = logging.getLogger("ollama")
_AUTOMATION = ("CI", "TF_IN_AUTOMATION")


def reporter() -> Callable[[str], None]:
    """Where the lifecycle's lines go in this process."""
    terminal = None if any(os.environ.get(name) for name in _AUTOMATION) else _terminal()
    if terminal is None:
        return _log.info

    def show(line: str) -> None:
        _log.info(line)
        with contextlib.suppress(OSError):  # it was closed, and nobody looks any more
            os.write(terminal, f"{line}\n".encode())

    return show


def _terminal() -> int | None:
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    # In the background of a terminal that stops its writers, a line is not worth to be stopped for.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    return terminal
