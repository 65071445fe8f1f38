"""Looking at many servers at once, by GET /api/version, /api/tags and /api/ps alone: nothing here changes a server.
Beside a server of this machine its processes are looked at: for runners that an earlier one has left, and for the
options that a runner was started with.

Each server has a deadline of its own, and its failure is its own: whatever goes wrong becomes one line.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, Final

from ollama_policy.live.runners.abandoned import Abandoned, abandoned_runners
from ollama_policy.live.runners.processes import Processes, UnseenError, of_server
from ollama_policy.live.runners.runner import Engine, Runner
from ollama_policy.live.snapshot import AbandonedRunner, NoAnswer, OnDisk, Server, ServerState
from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import Connection, RunningModel
from ollama_provider.ollama.errors import NotOllamaError, OllamaError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.http.proxies import is_loopback
from ollama_provider.ollama.http.transport import no_answer
from ollama_provider.ollama.names import ModelName

AT_ONCE: Final = 256  # so many never wait for each other
LARGEST_ANSWER: Final = 8 * 2**20  # of one server; ten thousand models take half of it
_PAUSES: Final = (0.0, 0.1, 0.27)  # before each look, in seconds: unlike, so that no rhythm of a client's fits

DriftOf = Callable[[ServerState], Collection[Hashable]]


class Asked:
    """A server to look at, how it is reached, and whether a person named it."""

    __slots__ = ("connection", "is_given")

    def __init__(self, connection: Connection, is_given: bool) -> None:
        self.connection = connection
        self.is_given = is_given


def look(asked: Sequence[Asked], seconds: float, drift_of: DriftOf) -> list[Server]:
    """What each of the servers says, in their order, within so many seconds each.

    A look that shows a drift is taken again, and the one that shows least of it counts: a server that is being used
    may show a model without a name, or a name without a model, in passing. Ollama rewrites a manifest in place, so that
    a pull of what is there already makes its name vanish for a moment.
    """
    if "sniffio" not in sys.modules and find_spec("sniffio") is None:
        # httpx's transport imports it at every lock, and each search for what is not installed takes 0.1 ms: half a
        # second of a fleet.
        sys.modules["sniffio"] = None  # type: ignore[assignment]
    loop = asyncio.new_event_loop()
    # Names are looked up in threads, and one that nobody answers must hold up no other; nor, closed with the loop and
    # not waited for, the end of the run.
    loop.set_default_executor(ThreadPoolExecutor(AT_ONCE))
    try:
        return loop.run_until_complete(_look_at_all(asked, seconds, drift_of))
    finally:
        loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
        # What was given up half-read is closed by tasks of the loop's own, which only now have begun.
        loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.close()


async def _end(left: Collection[asyncio.Task[Any]]) -> None:
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _look_at_all(asked: Sequence[Asked], seconds: float, drift_of: DriftOf) -> list[Server]:
    turns = asyncio.Semaphore(AT_ONCE)
    machine = _ThisMachine()

    async def one(server: Asked) -> Server:
        async with turns:
            seen = await _look(server, seconds, drift_of)
        if isinstance(seen, NoAnswer):
            return seen
        flags = await machine.flags(seen) if drift_of(seen) else {}
        return seen._replace(abandoned=await machine.abandoned(seen.url), flags=flags)

    return await asyncio.gather(*map(one, asked))


class _ThisMachine:
    """What its processes show, beside what servers say: looked at once for all of them, and only where one is here."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._every: list[Abandoned] | None = None

    async def abandoned(self, url: str) -> tuple[AbandonedRunner, ...]:
        if not is_loopback(url):
            return ()
        async with self._looking:
            if self._every is None:
                self._every = await asyncio.to_thread(abandoned_runners)
        here = await asyncio.to_thread(of_server, url, self._every) if self._every else []
        return tuple(AbandonedRunner(one.pid, one.blob, one.resident, one.user) for one in here)

    async def flags(self, seen: ServerState) -> dict[ModelName, Mapping[str, str]]:
        if not is_loopback(seen.url) or not seen.running.models:
            return {}
        try:
            runners = await asyncio.to_thread(lambda: Processes(seen.url).known_runners())
        except UnseenError:
            return {}
        return flags_of(seen.running.models, runners)


def flags_of(models: Sequence[RunningModel], runners: Sequence[Runner]) -> dict[ModelName, Mapping[str, str]]:
    """What the command lines of runners show of models in memory: of those whose context no other one has.

    Their weights, which a command line names, are not part of /api/ps.
    """
    by_context: dict[int, list[Mapping[str, str]]] = {}
    for runner in runners:
        if runner.engine is Engine.LLAMA_SERVER and runner.context:
            by_context.setdefault(runner.context // runner.slots, []).append(runner.flags)
    contexts = Counter(model.context_length for model in models)
    alone = [model for model in models if contexts[model.context_length] == 1]
    return {one.name: found[0] for one in alone if len(found := by_context.get(one.context_length, [])) == 1}


async def _look(asked: Asked, seconds: float, drift_of: DriftOf) -> Server:
    url = asked.connection.url
    seen: ServerState | None = None
    least = 0
    try:
        async with asyncio.timeout(seconds), Ollama(asked.connection, largest_answer=LARGEST_ANSWER) as client:
            version = await client.supported_version()
            for pause in _PAUSES:
                await asyncio.sleep(pause)
                now = await _seen(client, asked, version)
                drift = len(drift_of(now))
                if seen is None or drift <= least:
                    seen, least = now, drift
                if not drift:
                    break
            assert seen is not None
            return seen
    except TimeoutError:
        # A server that said all once is known well enough.
        if seen is not None:
            return seen
        return NoAnswer(url, asked.is_given, no_answer(durations.text(round(seconds * 1e9)), url))
    except OllamaError as error:
        return NoAnswer(url, asked.is_given, error.words + _hint(asked, error))
    except Exception as error:  # noqa: BLE001 - whatever a server makes of itself, the others are looked at
        words = asked.connection.redact(f"{type(error).__name__}: {error}"[:200])
        return NoAnswer(url, asked.is_given, f"it could not be looked at: {words}")


async def _seen(client: Ollama, asked: Asked, version: str) -> ServerState:
    installed = await client.installed()
    running = await client.running()
    on_disk = {name: OnDisk.of(model) for name, model in installed.items()}
    return ServerState(client.url, asked.is_given, version, on_disk, running)


def _hint(asked: Asked, error: OllamaError) -> str:
    """What to do about it, to stand behind the error's words."""
    words = error.words
    if words.startswith(("HTTP 401", "HTTP 403")):
        if asked.connection.token is not None:
            return "; the token that was sent is not accepted"
        where = "" if asked.is_given else ", which is sent to servers of --host and --hosts-file alone"
        return f"; it requires a token: set OLLAMA_API_KEY, or write it in a netrc{where}"
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return "; trust a private authority with --ca-file"
    return "; give the address of an Ollama" if isinstance(error, NotOllamaError) else ""
