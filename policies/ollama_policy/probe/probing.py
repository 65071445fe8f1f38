"""Calls a model again and again and notes, call by call, what is in memory: before, right after, and settled.

A model that was in memory stays there with its timer or pin, and is then neither left to expire nor unloaded.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from ollama_policy.as_found import as_found, is_in_memory
from ollama_policy.probe.processes import Processes
from ollama_provider.ollama.answers import RunningModel
from ollama_provider.ollama.api import Ollama
from ollama_provider.ollama.names import ModelName

SETTLE_SECONDS = 0.05
IDLE_SECONDS = 2.0
GONE_SECONDS = 30.0
_KEEP_ALIVE = "10m"
_SHORT_KEEP_ALIVE = "1s"
_POLL_SECONDS = 0.1


class Plan(NamedTuple):
    """What is to be done. `concurrency` calls are made at once, and counted as so many."""

    calls: int = 60
    concurrency: int = 1
    prompt: str = "Say why the sky is blue."
    num_predict: int = 16
    varies: bool = False  # each call has another prompt, so that none is answered from a cache
    call_seconds: float = 120.0


class Sample(NamedTuple):
    """What was in memory at one moment, in bytes. `server` and `runners` are None where processes cannot be seen."""

    seconds: float  # since the start
    phase: str  # before, load, calls, idle, expiry, reload, unload
    call: int  # how many calls had been made
    moment: str  # before, after, settled
    server: int | None
    runners: int | None
    ps_size: int  # Ollama's own estimate for the model
    ps_size_vram: int

    @property
    def resident(self) -> int | None:
        return None if self.server is None or self.runners is None else self.server + self.runners


def steps(name: ModelName, plan: Plan, *, is_in_memory: bool) -> list[str]:
    """What `probe` will do to a server, in lines for a person."""
    prompts = "prompts that differ" if plan.varies else "one prompt"
    calls = f"call {name} {plan.calls} times, {plan.concurrency} at once, {prompts}, {plan.num_predict} tokens each"
    if is_in_memory:
        return [calls]
    return [
        f"load {name} with a keep_alive of {_KEEP_ALIVE}",
        calls,
        f"call it once more with a keep_alive of {_SHORT_KEEP_ALIVE}, and wait until it is gone",
        "load it again, and unload it",
    ]


Watch = Callable[[Sample], None]


async def probe(ollama: Ollama, name: ModelName, plan: Plan, processes: Processes | None, watch: Watch) -> bool:
    """Runs the plan, showing every sample to `watch`. Returns whether the model was in memory before. OllamaErrors."""
    return await _Probe(ollama, name, plan, processes, watch).run()


class _Probe:
    def __init__(self, ollama: Ollama, name: ModelName, plan: Plan, processes: Processes | None, watch: Watch) -> None:
        self._ollama, self._name, self._plan, self._processes, self._watch = ollama, name, plan, processes, watch
        self._started = time.monotonic()
        self._calls = 0

    async def run(self) -> bool:
        async with as_found(self._ollama, self._name, sets_timers=False) as found:
            was_in_memory = any(model.name == self._name for model in found.models)
            await self._run(was_in_memory)
        return was_in_memory

    async def _run(self, was_in_memory: bool) -> None:
        await self._sample("before", "settled")
        if not was_in_memory:
            async with asyncio.timeout(self._plan.call_seconds):
                await self._ollama.load(self._name, _KEEP_ALIVE)
        await self._sample("load", "settled")
        while self._calls < self._plan.calls:
            await self._round()
        await asyncio.sleep(IDLE_SECONDS)
        await self._sample("idle", "settled")
        if not was_in_memory:
            await self._call(keep_alive=_SHORT_KEEP_ALIVE)
            await self._until_gone()
            await self._sample("expiry", "settled")
            async with asyncio.timeout(self._plan.call_seconds):
                await self._ollama.load(self._name, _KEEP_ALIVE)
            await self._sample("reload", "settled")
            await self._ollama.unload(self._name)
            await self._until_gone()
            await self._sample("unload", "settled")

    async def _round(self) -> None:
        await self._sample("calls", "before")
        count = min(self._plan.concurrency, self._plan.calls - self._calls)
        async with asyncio.TaskGroup() as calls:
            for number in range(count):
                calls.create_task(self._call(number))
        self._calls += count
        await self._sample("calls", "after")
        await asyncio.sleep(SETTLE_SECONDS)
        await self._sample("calls", "settled")

    async def _call(self, number: int = 0, keep_alive: str | None = None) -> None:
        prompt = f"{self._calls + number}: {self._plan.prompt}" if self._plan.varies else self._plan.prompt
        options = {"num_predict": self._plan.num_predict}
        async with asyncio.timeout(self._plan.call_seconds):
            await self._ollama.generate(self._name, prompt, options=options, keep_alive=keep_alive)

    async def _in_memory(self) -> RunningModel | None:
        running = await self._ollama.running()
        return next((model for model in running.models if model.name == self._name), None)

    async def _until_gone(self) -> None:
        async with asyncio.timeout(GONE_SECONDS):
            while await is_in_memory(self._ollama, self._name):  # noqa: ASYNC110 - Ollama tells nobody
                await asyncio.sleep(_POLL_SECONDS)
        await asyncio.sleep(_POLL_SECONDS)  # the runner's process ends a moment later

    async def _sample(self, phase: str, moment: str) -> None:
        # What the API shows moves only with a load; in between it would be one request more a call.
        model = await self._in_memory() if phase != "calls" or moment == "settled" else None
        memory = self._processes.memory() if self._processes else None
        self._watch(
            Sample(
                seconds=time.monotonic() - self._started,
                phase=phase,
                call=self._calls,
                moment=moment,
                server=memory.server if memory else None,
                runners=memory.runners if memory else None,
                ps_size=model.size if model else 0,
                ps_size_vram=model.size_vram if model else 0,
            )
        )
