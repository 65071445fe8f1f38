"""The command `bench`, without the command line."""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import NamedTuple

from ollama_policy.commands.bench.figures import figures_of, gain_of
from ollama_policy.commands.bench.measuring import Plan, measure
from ollama_policy.commands.bench.proof import doubt
from ollama_policy.commands.bench.sides import Case, Side, sides_of, steps
from ollama_policy.commands.bench.table import Comparison, as_json, as_text
from ollama_policy.errors import CannotLookError
from ollama_policy.live.connect import answered, connection, installed_one, named_connection, named_model
from ollama_policy.live.restore import dry_run, left_as_before, promise
from ollama_policy.live.runners.eviction import require_no_eviction
from ollama_policy.live.runners.same_weights import holder
from ollama_policy.model.result import CLEAN, COULD_NOT_LOOK
from ollama_policy.text.terminal import deliver, status_line
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.errors import RefusedError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName


class Request(NamedTuple):
    """What `bench` is asked for. `host` is as OLLAMA_HOST; None is the environment's."""

    case: Case
    model: str
    plan: Plan
    host: str | None = None
    other_host: str | None = None
    ca_file: str | None = None
    tokens: int = 16
    form: str = "text"
    output: str | None = None
    is_dry: bool = False


def run(request: Request) -> int:
    """Measures, reports, and gives the exit code: 0 measured, 2 it could not be."""
    if (request.case is Case.SERVERS) != bool(request.other_host):
        raise CannotLookError("--other-host is only for the case `servers`")
    name = named_model(request.model)
    here = named_connection(request.host, request.ca_file, f"{name} is loaded, called and unloaded")
    there = connection(request.other_host, request.ca_file) if request.other_host else here
    sides = sides_of(request.case, name, here.url, there.url, request.tokens)
    servers = {here.url: here, there.url: there}
    if request.is_dry:
        deliver(answered(_planned(servers.values(), sides, name, request.plan)), request.output)
        return CLEAN

    async def work() -> Comparison:
        async with AsyncExitStack() as opened:
            clients = {url: await opened.enter_async_context(Ollama(server)) for url, server in servers.items()}
            for client in clients.values():
                await client.supported_version()
                await _refuse_others(client, name)
                await opened.enter_async_context(left_as_before(client, name, sets_timers=True))
            return await compare(sides, clients, request.plan)

    found = answered(work(), late=f"{name} at {' and '.join(servers)}: no answer in time")
    deliver(as_json(found) if request.form == "json" else as_text(found), request.output)
    return COULD_NOT_LOOK if found.gain is None else CLEAN


async def _planned(servers: Iterable[Connection], sides: tuple[Side, Side], name: ModelName, plan: Plan) -> str:
    texts = []
    for server in servers:
        async with Ollama(server) as client:
            await client.supported_version()
            await installed_one(client, name)
            await _refuse_others(client, name)
            own = [side for side in sides if side.server == server.url]
            doing = steps(own, plan.rounds, plan.calls, plan.concurrency)
            texts.append(dry_run(server.url, doing, promise(await client.running(), name, sets_timers=True)))
    return "".join(texts)


async def _refuse_others(client: Ollama, name: ModelName) -> None:
    """Raises RefusedError where to measure would end or reload what another name has in memory."""
    running = await client.running()
    held = await holder(client, name, running)
    require_no_eviction(client.url, name, running, held)
    if held is not None and held.name != name:
        words = f"{held.name} has the same weights and is in memory, and bench would end its runner: unload it first"
        raise RefusedError(f"the bench of {name}", client.url, words)


async def compare(sides: tuple[Side, Side], clients: Mapping[str, Ollama], plan: Plan) -> Comparison:
    """Measures both sides, and what the model takes on each as its last round leaves it.

    Raises RefusedError where the calls were not what a side is named for.
    """
    rounds = await measure(sides, clients, plan, status_line() or (lambda line: None))
    if why := doubt(sides[0], *rounds):
        raise RefusedError(f"the bench of {sides[0].model}", sides[0].server, f"{why}. No figures are shown")
    held = [await _memory(side, clients[side.server]) for side in sides]
    old, new = sides
    return Comparison(
        old,
        new,
        figures_of(rounds[0], held[0]),
        figures_of(rounds[1], held[1]),
        gain_of(*rounds),
        plan.concurrency,
        plan.rounds,
    )


async def _memory(side: Side, ollama: Ollama) -> int:
    return sum(model.size for model in (await ollama.running()).models if model.name == side.model)
