"""The command `reclaim`, without the command line."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ollama_policy.commands.reclaim import report
from ollama_policy.commands.reclaim.freeing import free
from ollama_policy.errors import CannotLookError
from ollama_policy.live.connect import answered
from ollama_policy.live.declared import declarations
from ollama_policy.live.orphans import Runner, Sight, facts_of, key
from ollama_policy.live.reclaimable import Facts, Intent, Plan, intent_of, plan
from ollama_policy.live.runners.abandoned import Abandoned, end
from ollama_policy.model.result import CLEAN, FINDINGS
from ollama_policy.pipeline.check import read_all
from ollama_policy.pipeline.discover import Workspace
from ollama_policy.text.escaping import shown, shown_path
from ollama_policy.text.terminal import deliver, progress
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.http.api import Ollama

_IN_AGAIN = "it is in memory again: a client called it"
_ENDS_WITHIN = 2.0  # a runner process, after /api/ps shows it no more

Confirm = Callable[[], bool]


class Request(NamedTuple):
    """What `reclaim` is asked for. Without paths no declaration counts, and only orphans are freed."""

    paths: Sequence[str]
    connection: Connection
    with_undeclared: bool = False
    is_agreed: bool = False
    is_dry: bool = False
    form: str = "text"


def run(request: Request, confirm: Confirm | None) -> int:
    """Shows the plan, asks, frees and proves it. `confirm` asks a person, None where there is none to be asked.

    The exit code: 0 nothing to free or all freed, 1 something is left. Raises CannotLookError.
    """
    intent = _wishes(request)
    url, is_text = request.connection.url, request.form == "text"
    sight = Sight(url)
    facts, runners = answered(_look(request.connection, sight))
    found = plan(facts, intent)
    if is_text:
        deliver(report.planned(url, found, facts.running), None)
    done = None
    if _is_something_to_do(found) and not request.is_dry and _is_agreed(request, found, facts, confirm):
        done = answered(_do(request.connection, sight, found, runners))
        if is_text:
            deliver(report.done(found, done), None)
    if not is_text:
        deliver(report.as_json(url, found, facts.running, done), None)
    is_free = found.is_empty or (done is not None and done.has_freed_all(found))
    return CLEAN if is_free else FINDINGS


async def _look(connection: Connection, sight: Sight) -> tuple[Facts, list[Runner]]:
    async with Ollama(connection) as client:
        await client.supported_version()
        return await facts_of(client, sight)


async def _do(connection: Connection, sight: Sight, found: Plan, before: list[Runner]) -> report.Done:
    async with Ollama(connection) as client:
        freed = await free(client, found, _say)
        in_memory = {key(model) for model in (await client.running()).models}
    freed = [one._replace(left=one.left or _IN_AGAIN) if key(one.entry.model) in in_memory else one for one in freed]
    ended = [await asyncio.to_thread(_end, one) for one in found.abandoned]
    left = len(before) - sum(not one.left for one in freed)
    after = sight.runners()
    give_up = time.monotonic() + _ENDS_WITHIN
    while len(after) > left and time.monotonic() < give_up:
        await asyncio.sleep(0.1)
        after = sight.runners()
    return report.Done(freed, report.Processes(sight.unseen, before, after), ended)


def _end(one: Abandoned) -> report.Ended:
    if one.is_own:
        _say(f"process {one.pid}: ending it")
    return report.Ended(one, end(one))


def _say(line: str) -> None:
    sys.stderr.write(shown(line) + "\n")


def _is_something_to_do(found: Plan) -> bool:
    if any(one.is_own for one in found.abandoned):
        return True
    return bool(found.leftovers) or any(entry.can_be_freed for entry in found.entries)


def _is_agreed(request: Request, found: Plan, facts: Facts, confirm: Confirm | None) -> bool:
    planned = report.planned(request.connection.url, found, facts.running)
    return agreed(request.is_agreed, confirm, planned, is_shown=request.form == "text")


def agreed(is_agreed: bool, confirm: Confirm | None, planned: str, *, is_shown: bool) -> bool:
    """Whether the person wants it done: said beforehand, or when asked, once the plan is shown."""
    if is_agreed:
        return True
    if confirm is None:
        _say("nothing was freed: without a terminal to ask at, give --yes")
        return False
    if not is_shown:
        sys.stderr.write(planned)
    return confirm()


def _wishes(request: Request) -> Intent:
    if not request.paths:
        if request.with_undeclared:
            raise CannotLookError("--undeclared needs the declarations: name the files or folders that hold them all")
        return Intent()
    workspace = Workspace(request.paths)
    found = declarations(read_all(workspace, progress()), workspace)
    problems = [*workspace.problems, *found.problems]
    if problems:
        first = problems[0]
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise CannotLookError(f"{shown_path(first.path)}: {shown(first.message)}{more}; nothing was freed")
    if request.with_undeclared and not found.is_complete:
        where = ", ".join(f"{shown_path(one.file.path)}:{one.start.line}" for one in found.undecided)
        raise CannotLookError(f"--undeclared needs the name of every declared model, and not all can be read: {where}")
    return intent_of(found.models, request.connection.url, with_undeclared=request.with_undeclared)
