"""Child processes that leave nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import psutil

_PR_SET_PDEATHSIG = 1


def child_setup() -> Callable[[], None]:
    """A `preexec_fn`: Ctrl-C works in the child, and on Linux it is killed when its parent is gone, however it went.

    The latter not in a thread: the kernel counts the end of the *thread* that started the child as the parent's end.
    """
    dies_with_parent = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
    libc = ctypes.CDLL(None) if dies_with_parent else None

    def setup() -> None:
        # A shell's background job ignores SIGINT, and a child would inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if libc:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return setup


@contextlib.contextmanager
def interrupts_put_off() -> Iterator[Callable[[], None]]:
    """Ctrl-C, and what else has a handler, takes effect where the function is called: never in the start of a child.

    Such a child would be known to nobody, and live on.
    """
    came: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda number, _: came.append(number))

    def take_effect() -> None:
        if came:
            handlers[signal.Signals(came[0])](came[0], None)

    try:
        yield take_effect
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def stop_group(process: subprocess.Popen[bytes], grace: float = 0.5) -> None:
    """End a process that leads its own group and everything in that group: SIGINT, then SIGKILL after `grace` s."""
    stop_groups([process], grace)


def stop_groups(processes: Sequence[subprocess.Popen[bytes]], grace: float = 0.5) -> None:
    """As above, all of them within one `grace`."""
    for number in (signal.SIGINT, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        give_up = time.monotonic() + grace
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(give_up - time.monotonic(), 0))


def kill_all(processes: Iterable[psutil.Process], timeout: float = 5) -> None:
    """SIGKILL and wait at most `timeout` s until they are gone; those that are gone already are fine."""
    chosen = list(processes)
    for process in chosen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    give_up = time.monotonic() + timeout
    while any(map(lives, chosen)) and time.monotonic() < give_up:
        time.sleep(0.01)


def session(leader: int) -> list[psutil.Process]:
    """The processes of the session that one leads, or led: whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                found.append(process)
    return found


def lives(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie, which only waits for a slow init to collect it, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
