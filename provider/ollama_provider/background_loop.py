"""One event loop for a process whose engine calls it from many threads, so that reads and connections are shared."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, TimeoutError, wait
from typing import Any, TypeVar

T = TypeVar("T")
_LOOK_SECONDS = 0.2
_TIDY_SECONDS = 5.0


class InterruptedWorkError(Exception):
    """The engine asked to stop, or is gone: the work was cancelled and left what the next run goes on from."""


class BackgroundLoop:
    """Runs coroutines in a thread of its own and gives their results to the threads that wait for them."""

    def __init__(self, must_stop: Callable[[], bool]) -> None:
        self._must_stop = must_stop
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="ollama", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work, or its exception. Raises InterruptedWorkError within a second of `must_stop`.

        Work that tidies up after itself gets a few seconds more for that.
        """
        begun: list[asyncio.Task[Any]] = []

        async def noted() -> T:
            task = asyncio.current_task()
            assert task is not None
            begun.append(task)
            return await work

        future = asyncio.run_coroutine_threadsafe(noted(), self._loop)
        while not wait([future], _LOOK_SECONDS).done:
            if self._must_stop():
                # A cancelled future is done at once, and the process may be gone before the work has tidied up.
                if begun:
                    self._loop.call_soon_threadsafe(begun[0].cancel)
                else:
                    future.cancel()
                break
        try:
            return future.result(_TIDY_SECONDS)
        except (CancelledError, TimeoutError):
            if not self._must_stop():
                raise
            raise InterruptedWorkError("stopped on request; the next run goes on from here") from None
