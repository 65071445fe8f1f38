"""The command `bench`, without the command line."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import NamedTuple

from ollama_policy.bench.figures import figures_of, gain_of
from ollama_policy.bench.measuring import Plan, measure
from ollama_policy.bench.sides import Case, Side, sides_of
from ollama_policy.bench.table import Comparison, as_json, as_text
from ollama_policy.checking import CannotLookError, deliver, status_line
from ollama_policy.reaching import answered
from ollama_policy.result import CLEAN, COULD_NOT_LOOK
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.api import Ollama
from ollama_provider.ollama.names import InvalidNameError, ModelName


class Request(NamedTuple):
    """What `bench` is asked for. `host` is as OLLAMA_HOST; empty is the environment's."""

    case: Case
    model: str
    plan: Plan
    host: str = ""
    other_host: str = ""
    tokens: int = 16
    form: str = "text"
    output: str | None = None


def run(request: Request, environment: Mapping[str, str]) -> int:
    """Measures, reports, and gives the exit code: 0 measured, 2 it could not be."""
    if (request.case is Case.SERVERS) != bool(request.other_host):
        raise CannotLookError("--other-host is the second server of the case `servers`, and of no other")
    try:
        name = ModelName.parse(request.model)
        settings = ProviderSettings.read({"host": request.host}, environment)
        here = settings.connection(None)
        there = settings.connection(request.other_host) if request.other_host else here
    except (InvalidNameError, InvalidDeclarationError, ValueError) as error:
        raise CannotLookError(str(error)) from None
    sides = sides_of(request.case, name, here.url, there.url, request.tokens)

    async def work() -> Comparison:
        async with AsyncExitStack() as opened:
            servers = {here.url: here, there.url: there}
            clients = {url: await opened.enter_async_context(Ollama(server)) for url, server in servers.items()}
            return await compare(sides, clients, request.plan)

    found = answered(work(), late=f"{name}: no answer in time")
    deliver(as_json(found) if request.form == "json" else as_text(found), request.output)
    return COULD_NOT_LOOK if found.gain is None else CLEAN


async def compare(sides: tuple[Side, Side], clients: Mapping[str, Ollama], plan: Plan) -> Comparison:
    """Measures both sides; what was in memory before stays there, with the pin or timer that the calls leave."""
    rounds = await measure(sides, clients, plan, status_line() or (lambda line: None))
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
