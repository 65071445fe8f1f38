"""Calls a model again and again and notes, call by call, what is in memory: before, right after, and settled.

First with prompts that differ, each of which a cache may keep; of a model of which llama.cpp keeps checkpoints, then
with a conversation, each turn of which may leave one; then with one prompt, again and again, which no cache keeps
twice: what still grows then is a leak. A model that was in memory stays there with its timer or pin, and is then
neither left to expire nor unloaded; each call asks for the context that it has there, since another reloads it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, NamedTuple

from ollama_policy.commands.probe.prompts import conversation, prompt_of
from ollama_policy.live.connect import installed_one
from ollama_policy.live.restore import is_in_memory, left_as_before
from ollama_policy.live.runners.eviction import require_no_eviction
from ollama_policy.live.runners.processes import Processes
from ollama_policy.live.runners.runner import Runner, blob_in
from ollama_policy.live.runners.same_weights import holder
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.errors import RefusedError, TransientError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName

SETTLE_SECONDS = 0.05
IDLE_SECONDS = 2.0
GONE_SECONDS = 30.0
DIFFERENT, CONVERSATION, REPEATED = PHASES_OF_CALLS = "different", "conversation", "repeated"
_KEEP_ALIVE = "10m"
_SHORT_KEEP_ALIVE = "1s"
_POLL_SECONDS = 0.1
_LEAST_TURNS = 4
# Keys of a GGUF's metadata: sliding windows, and the recurrent states of hybrid models (llama.cpp src/llama-arch.cpp).
_CHECKPOINTED = (".attention.sliding_window", ".ssm.state_size", ".shortconv.l_cache", ".wkv.head_size")


class Plan(NamedTuple):
    """What is to be done. `concurrency` calls are made at once, and counted as so many.

    Half of the calls have prompts that differ, the other half one prompt; with `varies` all differ. Each begins with
    words of its own and ends with `prompt`. Where there are checkpoints to be seen, a third of those that differ are
    the turns of a conversation, one at a time.
    """

    calls: int = 60
    concurrency: int = 1
    prompt: str = "Say why the sky is blue."
    num_predict: int = 16
    varies: bool = False
    call_seconds: float = 120.0

    @property
    def different(self) -> int:
        """How many of the calls have a prompt that no other has."""
        return self.calls if self.varies else self.calls // 2

    @property
    def turns(self) -> int:
        """How many of those that differ may be a conversation; fewer than three show nothing."""
        turns = self.different // 3
        return turns if turns >= _LEAST_TURNS else 0

    @property
    def repeated(self) -> int:
        return self.calls - self.different


class Sample(NamedTuple):
    """What was held at one moment, in bytes. `server` and `runners` are None where processes cannot be seen."""

    seconds: float  # since the start
    phase: str  # before, load, one of PHASES_OF_CALLS, idle, expiry, reload, unload
    call: int  # how many calls had been made
    moment: str  # before, after, settled
    server: int | None
    runners: int | None
    ps_size: int  # Ollama's own estimate for the model
    ps_size_vram: int
    pid: int | None = None  # of the model's runner
    tokens: int = 0  # of all prompts and answers so far

    @property
    def is_call(self) -> bool:
        return self.phase in PHASES_OF_CALLS

    @property
    def held(self) -> int | None:
        """Of the server and the model's runner."""
        return None if self.server is None or self.runners is None else self.server + self.runners


def steps(name: ModelName, plan: Plan, *, is_in_memory: bool, num_ctx: int | None = None) -> list[str]:
    """What `probe` will do to a server, in lines for a person. `num_ctx` is what it sends, where it does.

    `name` is the one that is called.
    """
    each = f"{plan.concurrency} at once, {plan.num_predict} tokens each"
    calls = [f"call {name} {plan.different} times with prompts that differ, {each}"]
    if plan.turns:
        calls.append(f"make {plan.turns} of these the turns of a conversation where llama.cpp keeps checkpoints of it")
    if plan.repeated:
        calls.append(f"call it {plan.repeated} times with one prompt, {each}")
    if is_in_memory:
        if num_ctx:
            calls.append(f"send num_ctx {num_ctx} with each call, the context of its runner: so nothing is reloaded")
        calls.append("interrupt nothing: no runner is ended or reloaded, and calls of others wait for a slot at most")
        return [*calls, "leave it there, with what its prompt cache has kept of them: an unload gives that back"]
    return [
        f"load {name} with a keep_alive of {_KEEP_ALIVE}",
        *calls,
        f"call it once more with a keep_alive of {_SHORT_KEEP_ALIVE}, and wait until it is gone",
        "load it again, and unload it",
    ]


class Called(NamedTuple):
    """What was called: the server's version, and the model's runner where it was seen.

    `num_ctx` was sent with each call, where the model was in memory already. `by_name` is the name that was called,
    where another one than the model's has the runner; `left` says why the runner was left in memory, where it was not
    there before.
    """

    version: str
    runner: Runner | None
    num_ctx: int | None = None
    by_name: str | None = None
    left: str = ""


Watch = Callable[[Sample], None]
_LOOK_AT_THE_LOG = "the server's log says why: `ollama-policy logs` reads it"


def num_ctx_of(running: Running, name: ModelName) -> int | None:
    """The context that a model has in memory, which each call has to ask for; None where that is not known.

    A call that asks for another, as one without num_ctx may, reloads it (server/sched.go: needsReload).
    """
    return next((model.context_length or None for model in running.models if model.name == name), None)


def has_checkpoints(metadata: Mapping[str, Any]) -> bool:
    """Whether llama.cpp keeps checkpoints of a model: what it cannot roll back, windows and recurrent states.

    A model without metadata is taken to have none.
    """
    return any(key.endswith(_CHECKPOINTED) for key in metadata)


async def probe(
    ollama: Ollama,
    name: ModelName,
    plan: Plan,
    processes: Processes | None,
    watch: Watch,
    cut_off: Callable[[], None] = lambda: None,
) -> Called:
    """Runs the plan, showing every sample to `watch`. OllamaErrors and TimeoutError.

    Where it is cancelled, `cut_off` is called before the server is left as it was found.
    """
    return await _Probe(ollama, name, plan, processes, watch).run(cut_off)


class _Probe:
    def __init__(self, ollama: Ollama, name: ModelName, plan: Plan, processes: Processes | None, watch: Watch) -> None:
        self._ollama, self._name, self._plan, self._processes, self._watch = ollama, name, plan, processes, watch
        self._started = time.monotonic()
        self._calls = self._tokens = self._turns = 0
        self._run = token_hex(3)  # so that no prompt is in a cache from an earlier run
        self._blob = ""
        self._runner: Runner | None = None
        self._num_ctx: int | None = None
        self._left = ""

    async def run(self, cut_off: Callable[[], None]) -> Called:
        version = await self._ollama.supported_version()
        await installed_one(self._ollama, self._name)
        running = await self._ollama.running()
        held = await holder(self._ollama, self._name, running)
        require_no_eviction(self._ollama.url, self._name, running, held)
        by_name = None if held is None or held.name == self._name else str(held.name)
        if held is not None:
            # A runner has one set of options, those of the name that loaded it: to call it by another may reload it.
            self._name = held.name
        async with left_as_before(self._ollama, self._name, sets_timers=False) as found:
            if held is not None and all(model.name != held.name for model in found.models):
                raise TransientError(f"the probe of {self._name}", self._ollama.url, "it left memory meanwhile")
            details = await self._ollama.show(self._name)
            self._blob = blob_in(details.blob)
            self._num_ctx = num_ctx_of(found, self._name)
            was_in_memory = any(model.name == self._name for model in found.models)
            try:
                await self._work(was_in_memory, has_checkpoints=has_checkpoints(details.metadata))
            except asyncio.CancelledError:
                cut_off()
                raise
        return Called(version, self._runner, self._num_ctx, by_name, self._left)

    async def _work(self, was_in_memory: bool, *, has_checkpoints: bool) -> None:
        await self._sample("before", "settled")
        if not was_in_memory:
            await self._load()
        await self._sample("load", "settled")
        if has_checkpoints and self._runner is not None and self._runner.checkpoints:
            self._turns = self._plan.turns
        while self._calls < self._plan.calls:
            await self._round()
        await asyncio.sleep(IDLE_SECONDS)
        await self._sample("idle", "settled")
        if not was_in_memory and await self._is_still_ours():
            await self._call(self._prompt(self._plan.calls), _SHORT_KEEP_ALIVE)
            await self._until_gone()
            await self._sample("expiry", "settled")
            await self._load()
            await self._sample("reload", "settled")
            if not await self._is_still_ours():
                return
            await self._ollama.unload(self._name)
            await self._until_gone()
            await self._sample("unload", "settled")

    async def _is_still_ours(self) -> bool:
        """Whether nobody else has taken the runner that was loaded for the probe: by a pin, or by another name."""
        running = await self._ollama.running()
        held = await holder(self._ollama, self._name, running)
        if held is None:
            return True
        if held.name != self._name:
            self._left = f"{held.name}, which has the same weights, holds its runner meanwhile"
        elif running.is_pinned(held):
            self._left = "another client has pinned it meanwhile"
        return not self._left

    async def _load(self) -> None:
        try:
            async with asyncio.timeout(self._plan.call_seconds):
                await self._ollama.load(self._name, _KEEP_ALIVE)
        except RefusedError as error:
            # Of a runner that never was there, nothing shows which of its variables llama.cpp refused.
            if self._runner is not None or not error.words.startswith("HTTP 5"):
                raise
            raise RefusedError(error.asked, error.server, f"{error.words}; {_LOOK_AT_THE_LOG}") from None

    async def _round(self) -> None:
        phase, asked = self._next()
        await self._sample(phase, "before")
        async with asyncio.TaskGroup() as calls:
            for prompt in asked:
                calls.create_task(self._call(prompt, is_raw=phase == CONVERSATION))
        self._calls += len(asked)
        await self._sample(phase, "after")
        await asyncio.sleep(SETTLE_SECONDS)
        await self._sample(phase, "settled")

    def _next(self) -> tuple[str, list[str]]:
        """The phase of the next round, and its prompts."""
        made, plan = self._calls, self._plan
        talk = plan.different - self._turns
        if talk <= made < plan.different:
            # The turns go without the model's template: what it puts behind a prompt would part it from the next.
            return CONVERSATION, [conversation(self._run, self._turns)[made - talk]]
        phase, end = (DIFFERENT, talk) if made < talk else (REPEATED, plan.calls)
        count = min(plan.concurrency, end - made)
        return phase, [self._prompt(made + number if phase == DIFFERENT else plan.calls) for number in range(count)]

    def _prompt(self, number: int) -> str:
        return prompt_of(self._run, number, self._plan.prompt)

    async def _call(self, prompt: str, keep_alive: str | None = None, *, is_raw: bool = False) -> None:
        # One prompt must have one answer: llama.cpp keeps the tokens of both, and would keep what differs anew.
        options = {"num_predict": self._plan.num_predict, "temperature": 0, "seed": 0}
        if self._num_ctx:
            options["num_ctx"] = self._num_ctx
        async with asyncio.timeout(self._plan.call_seconds):
            answer = await self._ollama.generate(
                self._name, prompt, options=options, keep_alive=keep_alive, is_raw=is_raw
            )
        self._tokens += answer.prompt_tokens + answer.tokens

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
        is_call = phase in PHASES_OF_CALLS
        model = await self._in_memory() if not is_call or moment == "settled" else None
        memory = self._processes.memory_of(self._name, self._blob) if self._processes else None
        if memory and memory.runner and (is_call or phase == "load"):
            self._runner = memory.runner
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
                pid=memory.runner.pid if memory and memory.runner else None,
                tokens=self._tokens,
            )
        )
