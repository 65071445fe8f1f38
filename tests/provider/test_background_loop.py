"""Work for threads that wait: its result, its exception, and its end when the engine wants to stop."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ollama_provider.background_loop import BackgroundLoop, InterruptedWorkError
from tests.promptness import assert_took_less


def test_a_result_comes_back() -> None:
    async def work() -> tuple[int, str]:
        await asyncio.sleep(0)
        return 42, threading.current_thread().name

    assert BackgroundLoop(lambda: False).run(work()) == (42, "ollama")


@pytest.mark.parametrize("error", [LookupError("none"), TimeoutError("too late"), asyncio.CancelledError()])
def test_an_exception_comes_back_as_it_is(error: BaseException) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise error

    expected = BaseException if isinstance(error, asyncio.CancelledError) else type(error)
    with pytest.raises(expected) as raised:
        BackgroundLoop(lambda: False).run(work())
    assert not isinstance(raised.value, InterruptedWorkError)


def test_many_threads_share_one_loop() -> None:
    loop = BackgroundLoop(lambda: False)
    arrived: set[int] = set()
    all_are_here = asyncio.Event()

    async def work(number: int) -> int:
        arrived.add(number)
        if len(arrived) == 5:
            all_are_here.set()
        await all_are_here.wait()  # would never end if one waited for the other
        return number

    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(lambda number: loop.run(work(number)), range(5))) == list(range(5))


def test_a_stop_ends_the_wait_within_a_second_and_the_work_tidies_up_first() -> None:
    stop = threading.Event()
    seen: list[str] = []

    async def work() -> None:
        seen.append("begun")
        stop.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)  # a request to a server, say
            seen.append("tidied up")

    began = time.monotonic()
    with pytest.raises(InterruptedWorkError, match="the next run goes on from here"):
        BackgroundLoop(stop.is_set).run(work())
    assert_took_less(1, began)
    assert seen == ["begun", "tidied up"]


def test_work_that_will_not_end_does_not_hold_up_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ollama_provider.background_loop._TIDY_SECONDS", 0.1)
    release = threading.Event()

    async def work() -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    began = time.monotonic()
    with pytest.raises(InterruptedWorkError):
        BackgroundLoop(lambda: True).run(work())
    assert_took_less(1, began)
    release.set()


def test_work_that_is_done_when_the_stop_comes_keeps_its_result() -> None:
    stop = threading.Event()

    async def work() -> str:
        stop.set()
        await asyncio.sleep(0.01)
        return "done"

    assert BackgroundLoop(stop.is_set).run(work()) == "done"
