"""How a resource gives its model up: out of memory, and deleted where it is the resource's to delete."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from ollama_provider.apply import content, placement
from ollama_provider.apply.drift import second_name
from ollama_provider.apply.ownership import origin_in, told, why_kept
from ollama_provider.apply.placement import Report
from ollama_provider.apply.server import Server
from ollama_provider.apply.sight import Verdict
from ollama_provider.apply.states import is_as_left
from ollama_provider.model import ModelDeclaration, OnDestroy
from ollama_provider.ollama.errors import OllamaError, RefusedError
from ollama_provider.ollama.kinds import can_be_reached, how_to_remove
from ollama_provider.ollama.versions import version_in


async def release(
    server: Server, declared: ModelDeclaration, state: Mapping[str, Any], report: Report, keeps: str = ""
) -> None:
    """Unloads a resource's model, and deletes it where it is the resource's to delete. `keeps` says why it stays."""
    name, origin = declared.model_name, origin_in(state)
    if declared.on_destroy is OnDestroy.KEEP:
        return
    if name in server.made:
        report(f"{name}: left as it is, because another resource has it now")
        return
    await refuse_unreachable(server, declared)
    installed = await server.client.installed()
    if name in installed:
        await placement.unload(server, installed[name], declared.timeouts.unload, report)
    is_ours = name not in installed or is_as_left(state, name, installed)
    keeps = keeps or why_kept(declared, origin, is_as_left=is_ours)
    if previous := installed.get(second_name(name)):  # of an apply that was cut off, and that nobody goes on from
        if keeps and name in installed and previous.digest != installed[name].digest:
            await content.restore_previous(server, name)
            report(f"{name}: has its earlier content again, from before an interrupted apply")
        else:
            await content.forget_second(server, previous.name)
            report(f"{previous.name}: deleted")
    if keeps:
        report(f"{name}: {keeps}: its files stay")
    elif name in installed:
        await content.forget(server, name)
        server.handover.forget(name)
        report(f"{name}: deleted")


async def leave_or_release(
    server: Server, declared: ModelDeclaration, state: Mapping[str, Any], verdict: Verdict, report: Report
) -> None:
    """A model that another resource has now stays as it is, unless that one has tried to take it over, and failed."""
    name = declared.model_name
    if not verdict.leaves or name in server.handover.not_taken:
        await release(server, declared, state, report, verdict.keeps)
        return
    report(told(declared, origin_in(state), verdict))
    if declared.must_be_resident and name not in server.made:
        server.handover.pins_left.add(name)


@asynccontextmanager
async def taking(server: Server, declared: ModelDeclaration, report: Report) -> AsyncIterator[None]:
    """Where a resource cannot take a name over, a pin that another one of the run left to it has no owner: it goes."""
    try:
        yield
    except OllamaError:
        name = declared.model_name
        async with server.turn(name):
            server.handover.not_taken.add(name)
            if name in server.handover.pins_left:
                with suppress(OllamaError):
                    there = (await server.client.installed())[name]
                    await placement.unload(server, there, declared.timeouts.unload, report)
        raise


async def refuse_unreachable(server: Server, declared: ModelDeclaration) -> None:
    """Raises RefusedError where an unload or a delete by a model's name would reach another model.

    Such a name cannot be declared any more. A state may have it, and the server may have been updated since.
    """
    name = declared.model_name
    if not name.is_local_tag or can_be_reached(name, version_in(await server.version())):
        return
    if name in await server.client.installed():
        words = (
            f"this version of Ollama takes {name} for {name.reached}, and would delete that; it is left as it is. "
            f"To be rid of it, {how_to_remove(name)}, and refresh"
        )
        raise RefusedError(f"the deletion of {name}", server.client.url, words)
