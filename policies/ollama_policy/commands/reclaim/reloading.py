"""`reclaim --reload`: ends the runners of models and loads them again, each pinned, or for as long, as it was.

All that a runner has grown by goes back, its prompt cache among it. A model is loaded as clients load it, without
options; only where its context was another then, it is loaded with that.
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from ollama_policy.commands.reclaim.command import Confirm, agreed
from ollama_policy.commands.reclaim.freeing import UNLOAD_SECONDS
from ollama_policy.commands.reclaim.rearming import AsItWas, arm_again, armed_if_cut_off, as_it_was
from ollama_policy.formats.writing import many
from ollama_policy.live.connect import answered, details_of, named_model
from ollama_policy.live.restore import load_again
from ollama_policy.live.runners.growth import Grown, grown
from ollama_policy.live.runners.processes import Processes, UnseenError
from ollama_policy.model.result import CLEAN, FINDINGS
from ollama_policy.text.escaping import shown
from ollama_policy.text.json_schema import BYTES, FLAG, TEXT, Schema, document, listed, or_null, record
from ollama_policy.text.terminal import deliver
from ollama_provider.ollama.answers import Connection, InstalledModel, Running, RunningModel, is_current
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import text_of

VERSION: Final = 1
_POLL_SECONDS: Final = 0.1
_OF_A_PROCESS: Final = 16 * 2**20  # what a process needs for itself beside what its load took, and more than that


class Request(NamedTuple):
    """What is to be reloaded: names as a person writes them."""

    names: Sequence[str]
    connection: Connection
    is_agreed: bool = False
    is_dry: bool = False
    form: str = "text"


class Wanted(NamedTuple):
    """A model that was named: what it holds, and why it is not reloaded; None where it is not in memory.

    `is_fresh`: a reload would give nothing back.
    """

    name: ModelName
    model: RunningModel | None
    is_pinned: bool
    problem: str
    is_fresh: bool = False


class Reloaded(NamedTuple):
    """What became of one: empty `left` is success. `before` and `after` are the bytes of all runners, as they show."""

    name: ModelName
    is_pinned: bool
    before: int | None
    after: int | None
    left: str


def run(request: Request, confirm: Confirm | None, unload_seconds: float = UNLOAD_SECONDS) -> int:
    """Shows the plan, asks, reloads: 0 all reloaded, 1 something is not. Raises CannotLookError.

    A model that is not unloaded within `unload_seconds` keeps the pin or the timer that it had.
    """
    url = request.connection.url
    running, wanted = answered(_look(request.connection, [named_model(one, "--reload") for one in request.names]))
    planned = _planned(url, running, wanted)
    if request.form == "text":
        deliver(planned, None)
    can_do = [one for one in wanted if not one.problem]
    done: list[Reloaded] | None = None
    if can_do and not request.is_dry and agreed(request.is_agreed, confirm, planned, is_shown=request.form == "text"):
        done = answered(_reload(request.connection, running, can_do, unload_seconds))
        if request.form == "text":
            deliver(_outcome(done), None)
    if request.form != "text":
        deliver(_as_json(url, wanted, done), None)
    is_done = done is not None and not any(one.left for one in done)
    are_others_fresh = all(one.is_fresh for one in wanted if one.problem)
    return CLEAN if are_others_fresh and (is_done or not can_do) else FINDINGS


async def _look(connection: Connection, names: Iterable[ModelName]) -> tuple[Running, list[Wanted]]:
    async with Ollama(connection) as client:
        await client.supported_version()
        installed, running = await asyncio.gather(client.installed(), client.running())
        wanted = [_wanted(name, installed, running) for name in dict.fromkeys(names)]
        details = await details_of(client, [one.name for one in wanted if not one.problem])
    models = [one.model for one in wanted if one.model is not None and one.name in details]
    found = await asyncio.to_thread(grown, connection.url, models, details)
    return running, [_unless_fresh(one, found.get(one.name)) for one in wanted]


def _wanted(name: ModelName, installed: dict[ModelName, InstalledModel], running: Running) -> Wanted:
    model = next((one for one in running.models if one.name == name), None)
    if model is None:
        why = "it is not in memory: there is nothing to reload" if name in installed else "it is not on the server"
        return Wanted(name, None, False, why)
    is_pinned = running.is_pinned(model)
    if not is_current(model, installed):
        return Wanted(name, model, is_pinned, "it is an orphan, which its name does not reach: reclaim frees it")
    return Wanted(name, model, is_pinned, "")


def _unless_fresh(one: Wanted, shown_growth: Grown | None) -> Wanted:
    """Not to be reloaded where its process shows that it has not grown; where that is not shown, it is."""
    if one.problem or shown_growth is None or shown_growth.beyond >= _OF_A_PROCESS:
        return one
    words = f"it has not grown: process {shown_growth.pid} holds {text_of(shown_growth.held)}, as much as a load takes"
    return one._replace(problem=words, is_fresh=True)


async def _reload(
    connection: Connection, before: Running, wanted: Iterable[Wanted], unload_seconds: float
) -> list[Reloaded]:
    done = []
    async with Ollama(connection) as client:
        for one in wanted:
            sys.stderr.write(shown(f"{one.name}: unloading, and loading again") + "\n")
            held = await asyncio.to_thread(_held, connection.url)
            left = ""
            try:
                assert one.model is not None
                left = await _reload_or_rearm(client, await as_it_was(client, one.model, before), unload_seconds)
            except OllamaError as error:
                left = str(error)
            now = await asyncio.to_thread(_held, connection.url)
            done.append(Reloaded(one.name, one.is_pinned, held, now, left))
    return done


async def _reload_or_rearm(client: Ollama, was: AsItWas, unload_seconds: float) -> str:
    """Why it is not reloaded, and what then became of its pin or timer; empty where it is."""
    async with armed_if_cut_off(client, was):
        try:
            if await _is_unloaded(client, was.model.name, unload_seconds):
                return await _load(client, was.model, was.left)
            why = f"still in memory after {unload_seconds:g} s: a request is in flight, or a client calls it again"
        except OllamaError as error:
            why = str(error)
        except TimeoutError:
            why = "it was unloaded, and not loaded again in time"
        return f"{why}; {await arm_again(client, was)}"


async def _load(client: Ollama, model: RunningModel, left: timedelta | None) -> str:
    await load_again(client, model, left, as_clients_do=True)
    now = await client.running()
    found = next((one for one in now.models if one.name == model.name), None)
    if found is not None and found.context_length != model.context_length:
        await load_again(client, model, left)
        now = await client.running()
        found = next((one for one in now.models if one.name == model.name), None)
    if found is None:
        return "it was unloaded, and is not in memory: its content was changed meanwhile"
    return "" if left is not None or now.is_pinned(found) else "it is loaded, but a client removed its pin"


async def _is_unloaded(client: Ollama, name: ModelName, seconds: float) -> bool:
    """Asks at every look: a client's call with a keep_alive of its own cancels an unload."""
    give_up = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < give_up:
        if all(one.name != name for one in (await client.running()).models):
            return True
        await client.unload(name)
        await asyncio.sleep(_POLL_SECONDS)
    return False


def _held(url: str) -> int | None:
    """Bytes of all runners, None where this machine does not show them."""
    try:
        return Processes(url).memory().runners
    except UnseenError:
        return None


def _planned(url: str, running: Running, wanted: Sequence[Wanted]) -> str:
    count = sum(not one.problem for one in wanted)
    lines = [f"{url}: {many(count, 'model') if count else 'no model'} to reload"]
    for one in wanted:
        if one.problem or one.model is None:
            lines.append(f"  {one.name}: {one.problem}")
            continue
        how = "pinned" if one.is_pinned else f"until {one.model.expires_at:%Y-%m-%d %H:%M:%S %Z}"
        lines.append(f"  {one.name}  {text_of(one.model.size)} by /api/ps  {how}, and so again after the reload")
    return "\n".join(map(shown, lines)) + "\n"


def _outcome(done: Sequence[Reloaded]) -> str:
    lines = []
    for one in done:
        if one.left:
            lines.append(f"{one.name}: {one.left}")
            continue
        measured = ""
        if one.before is not None and one.after is not None:
            back = text_of(max(0, one.before - one.after))
            measured = f"; the runners hold {text_of(one.after)} in place of {text_of(one.before)}: {back} given back"
        lines.append(f"{one.name}: reloaded{', and pinned again' if one.is_pinned else ''}{measured}")
    return "".join(f"{shown(line)}\n" for line in lines)


def _as_json(url: str, wanted: Sequence[Wanted], done: Sequence[Reloaded] | None) -> str:
    outcomes = {} if done is None else {one.name: one for one in done}
    models: list[dict[str, Any]] = []
    for one in wanted:
        outcome = outcomes.get(one.name)
        left = one.problem or (outcome.left if outcome else "")
        entry = {"name": str(one.name), "pinned": one.is_pinned, "reloaded": None if outcome is None else not left}
        entry |= {"held_before": outcome.before if outcome else None, "held_after": outcome.after if outcome else None}
        models.append(entry | {"left": left or None})
    return json.dumps({"version": VERSION, "server": url, "models": models}, indent=2) + "\n"


def schema() -> Schema:
    """The JSON Schema of `reclaim --reload NAME --format json`."""
    held = or_null(BYTES, "Of all runners of the server; null where this machine does not show them.")
    model = {"name": TEXT, "pinned": FLAG, "reloaded": or_null(FLAG, "Null where nothing was done.")}
    model |= {"held_before": held, "held_after": held, "left": or_null(TEXT, "Why it is not reloaded.")}
    title = "The outcome of `ollama-policy reclaim --reload NAME --format json`"
    return document(title, VERSION, {"server": TEXT, "models": listed(record(model))})
