"""An engine of few lines over the lifecycle: what Terraform and Pulumi do with a provider, without their seconds."""

import asyncio
import os
import pickle
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import httpx

from ollama_provider.apply.failures import UnplacedError
from ollama_provider.apply.planning import difference
from ollama_provider.apply.server import Servers
from ollama_provider.apply.sight import FREE, Verdict
from ollama_provider.apply.states import State, declared_in
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.model import InvalidDeclarationError, declare
from ollama_provider.ollama.errors import OllamaError
from tests.engines.lives.world import Applied, Kill, Values, full

Keep = Callable[[str, State | None], None]


class LifecycleEngine:
    """States by key. An apply runs in a process of its own, which a kill ends where it stands."""

    can_adopt = True

    def __init__(self, url: str) -> None:
        self.url = url
        self.states: dict[str, State] = {}

    def known(self) -> dict[str, str]:
        return {key: full(state["name"]) for key, state in self.states.items()}

    def adopt(self, key: str, name: str) -> None:
        self.states[key] = asyncio.run(self._with_lifecycle(lambda lifecycle: lifecycle.adopt(name)))

    def apply(self, declared: Mapping[str, Values], kill: Kill | None = None) -> Applied:
        """What each resource has become is kept as soon as it is known, as an engine writes its state."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._in_child(writing, declared, kill)
        os.close(writing)
        failures: dict[str, str] = {}
        with os.fdopen(reading, "rb") as told:
            while True:
                try:
                    key, state, failure = pickle.load(told)  # noqa: S301 - from our own child
                except (EOFError, pickle.UnpicklingError):
                    break
                if failure:
                    failures[key] = failure
                elif state is None:
                    self.states.pop(key, None)
                else:
                    self.states[key] = state
        _, status = os.waitpid(child, 0)
        return Applied(failures, was_killed=os.waitstatus_to_exitcode(status) == 9)

    def _in_child(self, writing: int, declared: Mapping[str, Values], kill: Kill | None) -> None:
        code = 1
        try:
            if kill:
                _die_at(kill)
            with os.fdopen(writing, "wb", buffering=0) as told:
                asyncio.run(self._apply(declared, lambda key, state, why: told.write(pickle.dumps((key, state, why)))))
            code = 0
        finally:
            os._exit(code)

    async def _apply(self, declared: Mapping[str, Values], tell: Callable[[str, State | None, str], Any]) -> None:
        async def one(lifecycle: Lifecycle, key: str) -> None:
            try:
                tell(key, await self._step(lifecycle, key, declared), "")
            except UnplacedError as error:
                tell(key, error.state, "")
                tell(key, None, str(error))
            except (OllamaError, InvalidDeclarationError) as error:
                tell(key, None, str(error))

        async def all_of_it(lifecycle: Lifecycle) -> None:
            await asyncio.gather(*(one(lifecycle, key) for key in sorted({*self.states, *declared})))

        await self._with_lifecycle(all_of_it)

    async def _step(self, lifecycle: Lifecycle, key: str, declared: Mapping[str, Values]) -> State | None:
        state = self.states.get(key)
        if state is not None:
            state = await lifecycle.read(state)
        if key not in declared:
            if state is not None:
                await lifecycle.delete(state, _verdict(state, key, declared))
            return None
        if state is None:
            return await lifecycle.create(declared[key])
        if not difference(state, declared[key]).changed:
            return state
        return await lifecycle.update(state, declared[key], _verdict(state, key, declared))

    async def _with_lifecycle(self, work: Callable[[Lifecycle], Any]) -> Any:
        servers = Servers()
        try:
            return await work(Lifecycle(ProviderSettings(host=self.url), servers, lambda line: None))
        finally:
            await servers.close()


def _verdict(state: State, key: str, declared: Mapping[str, Values]) -> Verdict:
    """What may be done with a model that a resource gives up, in a run that shows all that is declared."""
    others = [
        values for other, values in declared.items() if other != key and full(values["name"]) == full(state["name"])
    ]
    if not others:
        is_base = any(full(values["base"]) == full(state["name"]) for values in declared.values() if "base" in values)
        return Verdict("is the base of a model that is declared") if is_base else FREE
    holds = declare(others[0]).must_be_resident or not declared_in(state).must_be_resident
    return Verdict("is another resource's too", leaves=holds)


def _die_at(kill: Kill) -> None:
    """Ends this process at its nth request to a server, as kill -9 does: nothing is tidied up."""
    send = httpx.AsyncHTTPTransport.handle_async_request
    sent = 0

    async def counted(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        nonlocal sent
        sent += 1
        at = sent
        if at == kill.request and kill.is_before:
            os._exit(9)
        answer = await send(transport, request)
        if at == kill.request:
            os._exit(9)
        return answer

    mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", counted).start()
