"""Placing a model in a server's memory as it was declared, and telling where it is not so.

What Ollama really offers: a load with a keep_alive, an unload that is only a request, and /api/ps. A runner is known by
its GGUF blob, so two names of one blob share one runner, and /api/ps shows it under the name that loaded it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from ollama_provider.apply.drift import AS_DECLARED, CLOCK_SLACK, NOT_IN_MEMORY, OLD_CONTENT, drift_of
from ollama_provider.apply.server import Server
from ollama_provider.model import MemoryManagement, ModelDeclaration
from ollama_provider.ollama import durations, kinds
from ollama_provider.ollama.answers import FOR_EVER, InstalledModel, Running, RunningModel
from ollama_provider.ollama.errors import LateError, NotFoundError, RefusedError
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.versions import version_in

Report = Callable[[str], None]

_POLL_SECONDS = 0.1
_LOAD_AGAIN_SECONDS = 0.5


async def place(server: Server, declared: ModelDeclaration, digest: str, report: Report) -> None:
    """Makes memory as declared: pins, unloads, or re-arms. Does nothing where it is so already."""
    name = declared.model_name
    async with server.placing:
        running = await server.client.running()
        if drift_of(declared, digest, running) == AS_DECLARED:
            if declared.must_be_resident:
                server.pinned[name] = digest
            return
        with server.changing():
            server.pinned.pop(name, None)
            await _free_older_contents(server, name, digest, declared.timeouts.unload, report)
            if declared.must_be_resident:
                await _pin(server, declared, digest, running, report)
                server.pinned[name] = digest
            elif declared.must_be_absent:
                await _unload(server, name, _of_content(name, digest), declared.timeouts.unload, report)
            elif declared.keep_alive is not None:
                await _bound(server, declared, digest, running, report)


async def refuse_second_resident(server: Server, declared: ModelDeclaration, own_names: set[ModelName]) -> None:
    """Raises RefusedError where another name is pinned on the blob that this model would be loaded from.

    Looks at the base for a model that is not there yet. `own_names` are this resource's own, old ones included.
    What has the name of a model that is to be made of a local file is not a source: it is replaced.
    """
    if not declared.must_be_resident or declared.gguf is not None:
        return
    view = await server.view()
    sources = [name for name in (declared.base_name, declared.model_name) if name and name in view.installed]
    pinned = [model for model in view.running.models if view.running.is_pinned(model)]
    rivals = [model for model in pinned if model.name not in own_names]
    if sources and rivals:
        _refuse_rivals(server, declared.model_name, await _sharing(server, sources[0], rivals))


async def refuse_unheld(server: Server, declared: ModelDeclaration, present: InstalledModel | None = None) -> None:
    """Raises RefusedError where memory is to be managed of a model that this server never holds: a cloud's, an image's.

    Looks at what is `present`, else at what is there under the declared name, or its base's; and asks nothing more.
    """
    if declared.memory_management is not MemoryManagement.MANUAL:
        return
    if present is None and declared.gguf is None:
        present = (await server.view()).installed.get(declared.base_name or declared.model_name)
    if present is not None:
        await _refuse_unheld(server, declared.model_name, present, present.capabilities)


async def _refuse_unheld(
    server: Server, name: ModelName, present: InstalledModel, capabilities: tuple[str, ...]
) -> None:
    version = version_in(await server.version())
    if words := kinds.why_not_held(name, present, capabilities, version):
        raise RefusedError(f"the load of {name}", server.client.url, f"{words}. Declare {kinds.WHAT_TO_DECLARE}")


async def unload(
    server: Server, model: InstalledModel, timeout: str, report: Report, *, shown_as: ModelName | None = None
) -> None:
    """Unloads a content and waits until /api/ps shows it no more. A runner that it shows under another name is left.

    Where a name has moved to other content, the runner of the old one is `shown_as` that name, and goes through any
    `model` that still has the old content.
    """
    name = shown_as or model.name
    async with server.placing:
        with server.changing():
            server.pinned.pop(name, None)
            await _unload(server, model.name, _of_content(name, model.digest), timeout, report)
            if shown_as is None:
                await _free_older_contents(server, name, model.digest, timeout, report)


async def share_weights(server: Server, first: ModelName, second: ModelName) -> bool:
    """Whether two names are one blob, which has one runner. One that is not there shares nothing."""
    try:
        one, other = [await server.client.show(name) for name in (first, second)]
    except NotFoundError:
        return False
    return one.blob == other.blob


def _named(name: ModelName) -> Callable[[RunningModel], bool]:
    return lambda model: model.name == name


def _of_content(name: ModelName, digest: str) -> Callable[[RunningModel], bool]:
    return lambda model: model.name == name and model.digest == digest


async def _pin(server: Server, declared: ModelDeclaration, digest: str, running: Running, report: Report) -> None:
    name = declared.model_name
    others = [model for model in running.models if model.name != name]
    sharing = await _sharing(server, name, others) if others else []
    _refuse_rivals(server, name, [model for model in sharing if running.is_pinned(model)])
    for model in sharing:
        await _unload(server, model.name, _named(model.name), declared.timeouts.unload, report)
    running = await _free_unreached(server, name, digest, declared.timeouts.unload, report)
    pinned = {model.name: model.digest for model in running.models if running.is_pinned(model) and model.name != name}
    details = await server.client.show(name)
    if kinds.IMAGE in details.capabilities:
        await _refuse_unheld(server, name, (await server.view()).installed[name], details.capabilities)
    report(f"{name}: loading, to stay in memory")
    drift = NOT_IN_MEMORY
    async with _within(declared.timeouts.load, f"the load of {name}", server, lambda: drift):
        while True:
            # Asked again at every look: an unload of somebody else's may come in between.
            await server.client.load(name, FOR_EVER, only_embeds=details.only_embeds)
            running = await server.client.running()
            if (drift := drift_of(declared, digest, running)) in (AS_DECLARED, OLD_CONTENT):
                break
            await asyncio.sleep(_LOAD_AGAIN_SECONDS)
    held = sum(model.size for model in running.models if model.name == name and model.digest == digest)
    report(f"{name}: pinned in memory, {held / 2**20:.0f} MiB by Ollama's count")
    _refuse_displaced(server, name, pinned | server.pinned, running)


async def _bound(server: Server, declared: ModelDeclaration, digest: str, running: Running, report: Report) -> None:
    """Re-arms the timer of a model that sits in memory for longer than its keep_alive, without a reload."""
    assert declared.keep_alive is not None
    name = declared.model_name
    for model in filter(_of_content(name, digest), running.models):
        details = await server.client.show(name)
        # All of the trained context is what a larger default, or the model's own, is cut to: none was asked for then,
        # and to ask for it now would be other options, and a reload.
        own = None if model.context_length == details.context_length else model.context_length
        async with _within(declared.timeouts.load, f"the new timer of {name}", server, lambda: "no answer"):
            await server.client.load(name, declared.keep_alive, only_embeds=details.only_embeds, context_length=own)
        report(f"{name}: will be released {declared.keep_alive} after its last call")


async def _free_older_contents(server: Server, name: ModelName, digest: str, timeout: str, report: Report) -> None:
    """Unloads runners of a content that the name had before, where another name still has it; else says so."""
    running = await server.client.running()
    old_digests = {model.digest for model in running.models if model.name == name and model.digest != digest}
    installed = await server.client.installed() if old_digests else {}
    unreached = False
    for old in old_digests:
        same = (model.name for model in installed.values() if model.digest == old)
        through = next((other for other in same if not other.names_a_source), None)
        unreached |= through is None
        if through is not None:
            await _unload(server, through, _of_content(name, old), timeout, report)
    if unreached:
        running = await _free_unreached(server, name, digest, timeout, report)
        for model in running.models:
            if model.name == name and model.digest != digest:
                words = f"an older content ({model.digest[:12]}) stays in memory: see `ollama-policy reclaim`"
                report(f"{name}: warning: {words}")


async def _free_unreached(server: Server, name: ModelName, digest: str, timeout: str, report: Report) -> Running:
    """Unloads a runner on this name's weights whose own name does not reach it any more, and gives what is in memory.

    Its name was deleted, or got another manifest: of other weights or, as where only the system prompt changed, of the
    same. It would serve this name's calls, and /api/ps would go on showing the other. An unload through a name whose
    weights nobody runs does nothing, so it is asked where the name itself is not in memory; measured on 0.17.4.
    """
    running, installed = await server.client.running(), await server.client.installed()
    reached, unreached = [], set()
    for model in running.models:
        if model.name in installed and installed[model.name].digest == model.digest:
            reached.append(model)
        else:
            unreached.add((model.name, model.digest))
    is_in_memory = any(map(_of_content(name, digest), running.models))
    if not unreached or is_in_memory or await _sharing(server, name, reached):
        return running
    async with _within(timeout, f"the unload through {name}", server, lambda: "a request is in flight"):
        while True:
            await server.client.unload(name)
            await asyncio.sleep(_POLL_SECONDS)
            running = await server.client.running()
            # What was asked to go has an expiry of now, as long as a request holds it.
            latest = running.server_time + CLOCK_SLACK
            going = {(model.name, model.digest) for model in running.models if model.expires_at <= latest}
            if not going & unreached:
                break
    for gone, old in sorted(unreached - {(model.name, model.digest) for model in running.models}, key=str):
        report(f"{name}: {gone} ({old[:12]}) was on the same weights, reached by no name, and is out of memory")
    return running


async def _unload(
    server: Server, through: ModelName, is_meant: Callable[[RunningModel], bool], timeout: str, report: Report
) -> None:
    left: list[RunningModel] = []

    def who_holds_it() -> str:
        until = f"{left[0].expires_at:%Y-%m-%d %H:%M:%S %Z}" if left else "unknown"
        return f"still in memory, until {until}: a request is in flight, or a client calls it again and again"

    shown: ModelName | None = None  # by the name that people know, which may not be the one that it goes through
    async with _within(timeout, f"the unload of {through}", server, who_holds_it):
        while left := list(filter(is_meant, (await server.client.running()).models)):
            if shown is None:
                shown = left[0].name
                report(f"{shown}: unloading")
            # Asked again at every look: a client's call with a keep_alive of its own cancels an unload.
            await server.client.unload(through)
            await asyncio.sleep(_POLL_SECONDS)
    if shown is not None:
        report(f"{shown}: out of memory")


@asynccontextmanager
async def _within(duration: str, asked: str, server: Server, what_is_so: Callable[[], str]) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(durations.seconds(duration)) as waiting:
            yield
    except TimeoutError:
        if not waiting.expired():
            raise
        words = f"not done within {duration}: {what_is_so()}"
        raise LateError(asked, server.client.url, words) from None


async def _sharing(server: Server, name: ModelName, models: list[RunningModel]) -> list[RunningModel]:
    """Those of the models in memory that run on the same blob as a name."""
    blob = (await server.client.show(name)).blob
    sharing = []
    for model in models:
        try:
            details = await server.client.show(model.name)
        except NotFoundError:
            continue  # its name is gone and its runner is not: whose blob it has cannot be asked
        if details.blob == blob:
            sharing.append(model)
    return sharing


def _refuse_displaced(server: Server, name: ModelName, pinned: Mapping[ModelName, str], running: Running) -> None:
    """Raises where a model that was `pinned` before is no longer so: nobody else would notice."""
    held = {(model.name, model.digest) for model in running.models if running.is_pinned(model)}
    lost = [other for other, digest in pinned.items() if (other, digest) not in held]
    for other in lost:
        server.pinned.pop(other, None)
    if lost:
        words = (
            f"{name} is in memory, and {' and '.join(map(str, lost))}, pinned before it, no longer is: the server "
            "does not hold both. It keeps at most OLLAMA_MAX_LOADED_MODELS models, three by default without a GPU; "
            "declare fewer models resident, or raise that limit"
        )
        raise RefusedError(f"the load of {name}", server.client.url, words)


def _refuse_rivals(server: Server, name: ModelName, rivals: list[RunningModel]) -> None:
    if rivals:
        other = rivals[0].name
        words = (
            f"{other} is pinned on the same weights, and Ollama runs one model for each weights file: each would "
            'evict the other. Declare one of the two memory_management = "automatic", or resident = false; where '
            f"{other} is declared so by the same change, release it in an earlier apply"
        )
        raise RefusedError(f"the load of {name}", server.client.url, words)
