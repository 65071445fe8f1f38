"""The life of a declared model: check, diff, create, read, update, delete and import. Knows no engine.

The check is `model.problems_of`, with `model.missing_file` where a model is to be made. An adapter hands over plain
values and gets plain values back: a state is a dict that JSON can hold, the declared inputs and beside them what was
found (`OUTPUTS`). Nothing that moves by itself is in it. Every failure of a server is an OllamaError, every wrong input
an InvalidDeclarationError; a cancelled call leaves what the next one goes on from.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_provider.apply import content, placement
from ollama_provider.apply.drift import AS_DECLARED, UNBOUNDED_CURES, drift_of, second_name
from ollama_provider.apply.ownership import WAS_THERE, Origin, brought_by, origin_in, why_kept
from ollama_provider.apply.placement import Report
from ollama_provider.apply.server import REFRESH_SECONDS, Server, Servers, View
from ollama_provider.apply.sight import FREE, Verdict
from ollama_provider.apply.version_refusals import may_be_refused, refused_by
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import (
    InvalidDeclarationError,
    MemoryManagement,
    ModelDeclaration,
    OnDestroy,
    Problem,
    PullPolicy,
    Timeouts,
    declare,
    recorded,
)
from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import InstalledModel, Running
from ollama_provider.ollama.errors import NotFoundError, OllamaError, RefusedError
from ollama_provider.ollama.kinds import MLX_MEMORY, can_be_reached, how_to_remove, is_mlx, runs_elsewhere
from ollama_provider.ollama.names import ModelName, server_key, server_url
from ollama_provider.ollama.parameters import typed_all
from ollama_provider.ollama.versions import version_in

State = dict[str, Any]

INPUTS = tuple(ModelDeclaration.model_fields)
OUTPUTS = {
    "id": "The model's name in full as it was created, with `@host` where the resource has its own host.",
    "origin": "Whose the model is: `pulled`, `derived` or `uploaded` by the resource, or `found`, where it was there "
    "before. A destroy deletes no model that was found, unless `on_destroy` says so. A model that passes to another "
    "resource of the run keeps its origin where the old one is seen first, and else becomes `found`: with "
    "`create_before_destroy`, and where a Pulumi resource gets another name.",
    "digest": "The sha256 of the model's manifest in hex, as /api/tags shows it.",
    "size": "Bytes on disk.",
    "family": "The architecture's family, such as `llama`.",
    "parameter_size": "The number of parameters, such as `8.0B`.",
    "quantization_level": "The quantization of the weights, such as `Q4_K_M`.",
    "context_length": "The context that the model was trained for, in tokens.",
    "capabilities": "What the model can do, such as `completion` or `embedding`.",
    "pinned": "Whether the model is in memory and will not be released by itself.",
    "drift": "What on the server is not as declared, in words; empty where all is well.",
    "gguf_file": "What the uploaded local file was: its digest, its size in bytes and its time.",
}
NO_DRIFT = AS_DECLARED
CONTENT_REPLACED = "its content was replaced by somebody else"
APPLY_CUT_OFF = "an apply was cut off: the older content is still kept under a second name"
KEPT_SECONDS = 5.0
_IMPORTED = ("keep_alive", "on_destroy")
_NOTHING: Mapping[str, str] = {}
_DETAILS = ("context_length", "capabilities")  # of /api/show
_CONTENT_INPUTS = ("base", "parameters", "system", "template")


@dataclass(frozen=True)
class Misfit:
    """What a plan says of a model that is to be pinned and does not fit. What may only grow too large is no error."""

    problem: Problem
    summary: str
    is_error: bool


class UnplacedError(Exception):
    """A new model is there, and memory is not as declared. `state` is what an engine may keep of it."""

    def __init__(self, why: str, state: State) -> None:
        super().__init__(f"{why} (the model itself is there: the next apply goes on from it)")
        self.state = state


class LeftBehindError(OllamaError):
    """A rename failed, and what it pulled for the new name, of this digest, is on the server, in no state."""

    def __init__(self, error: OllamaError, name: ModelName, digest: str) -> None:
        stays = f"{name} was pulled, and is in no state: the next apply goes on from it, or `ollama rm {name}`"
        super().__init__(error.asked, error.server, f"{error.words}; {stays}")
        self.name, self.digest = name, digest


@dataclass(frozen=True)
class Difference:
    """Which properties a declaration changes of a state, and which of them need another resource in its place."""

    changed: tuple[str, ...]
    replaces: tuple[str, ...] = ()


def difference(
    state: Mapping[str, Any],
    values: Mapping[str, Any],
    unknown: Collection[str] = (),
    provider_host: str | None = None,
) -> Difference:
    """What an update would change. `llama3` is `llama3:latest` and `5m` is `300s`: no change of text is a change.

    `provider_host` is where a model without a host is. Only a host that is another server needs another resource.
    """
    known = {name: value for name, value in values.items() if name not in unknown}
    if known.get("digest") is None:
        state = {**state, "digest": None}  # not declared (any more): whichever is there is right
    changed = [name for name in INPUTS if name in unknown or state.get(name) != known.get(name)]
    if changed:  # which is seldom so, and to bring a thousand declarations into one form takes time
        old, new = _normal(state), _normal(known)
        changed = [name for name in INPUTS if name in unknown or old.get(name) != new.get(name)]
    if state.get("drift"):
        changed.append("drift")
    if known.get("pull_policy") == PullPolicy.ALWAYS and not changed:
        changed.append("pull_policy")
    if "gguf" not in changed and known.get("gguf") and _gguf_changed(state, Path(known["gguf"])):
        changed.append("gguf")
    is_elsewhere = "host" in changed and ("host" in unknown or _is_elsewhere(state, known, provider_host))
    return Difference(tuple(changed), ("host",) if is_elsewhere else ())


def _is_elsewhere(state: Mapping[str, Any], known: Mapping[str, Any], provider_host: str | None) -> bool:
    hosts = [values.get("host") or provider_host for values in (state, known)]
    return None in hosts or len({server_key(str(host)) for host in hosts}) > 1


def unbounded_pin(state: Mapping[str, Any]) -> str | None:
    """What to warn of where a state, or what is planned, leaves a model to Ollama that is pinned forever."""
    mode = state.get("memory_management") or MemoryManagement.AUTOMATIC
    if not state.get("pinned") or mode != MemoryManagement.AUTOMATIC or state.get("keep_alive") is not None:
        return None
    return (
        f"{state['name']} is pinned, by a client or by the server's own keep_alive, and is never released: the state "
        f"declares nothing that an apply could restore. To change that, {UNBOUNDED_CURES}."
    )


def identity(declared: ModelDeclaration) -> str:
    """The id of a resource: what an import takes."""
    return f"{declared.model_name}@{server_url(declared.host)}" if declared.host else str(declared.model_name)


class Lifecycle:
    """The operations that ask a server. Belongs to one event loop; many may run in it at once."""

    def __init__(self, settings: ProviderSettings, servers: Servers, report: Report) -> None:
        self._settings = settings
        self._servers = servers
        self._report = report

    async def misfit(self, values: Mapping[str, Any]) -> Misfit | None:
        """What a plan is to say of a model that the server refuses, or that will be pinned and has no room. Only looks.

        A server that does not answer is not a misfit: the apply says it.
        """
        declared = declare(values)
        try:
            if problem := await refused_by(self._server(declared), declared):
                return Misfit(problem, f"{values['name']} is refused by its server", is_error=True)
        except OllamaError:
            return None
        if self._settings.memory_check == "off" or not declared.must_be_resident:
            return None
        from ollama_provider.apply.capacity import capacity_of  # noqa: PLC0415 - most plans pin nothing

        server = self._server(declared)
        found = await capacity_of(server, self._settings.memory_bytes).shortage(server, declared)
        if found is None:
            return None
        expected = 'room for it: less num_ctx, another model automatic, or memory_check = "off"'
        problem = Problem(("memory_management",), found.words, expected)
        summary = f"{values['name']} {'may outgrow the memory' if found.is_growth else 'will not fit'}"
        return Misfit(problem, summary, self._settings.memory_check == "error" and not found.is_growth)

    async def replaced_content(self, values: Mapping[str, Any]) -> str:
        """What a plan is to say of a new resource that makes a model whose name is taken; empty where it is free.

        Only looks. A server that does not answer is not news: the apply says it.
        """
        source = values.get("base") or values.get("gguf")
        if not source:
            return ""
        declared = declare(values)
        try:
            is_taken = declared.model_name in (await self._server(declared).view()).installed
        except OllamaError:
            return ""
        words = (
            f"{declared.model_name} is on the server already. The apply makes it anew from {source}, and nothing keeps"
        )
        return f"{words} the content that it has now" if is_taken else ""

    async def made_from(self, declared: ModelDeclaration) -> list[ModelName]:
        """The models on the server that were made from the declared one, as Ollama says, as far as they are seen."""
        name = declared.model_name
        try:
            installed = (await self._server(declared).view()).installed
        except OllamaError:
            return []
        return [other for other, model in installed.items() if other != name and model.is_from(name)]

    async def create(self, values: Mapping[str, Any]) -> State:
        """Makes present, then places in memory. A model that is there already is taken over as it stands."""
        declared = declare(values)
        server = await self._fit_server(declared)
        await placement.refuse_unheld(server, declared)
        await placement.refuse_second_resident(server, declared, {declared.model_name})
        async with _turn(server, declared.model_name):
            return await self._create(server, declared, values)

    async def update(
        self,
        state: Mapping[str, Any],
        values: Mapping[str, Any],
        old_name: Verdict = FREE,
        left_behind: Mapping[str, str] = _NOTHING,
    ) -> State:
        """Changes what has to change. Where it fails, the model is as it was, as far as the server obeys.

        `old_name` is what may be done with the model of before, where the name changes, and `left_behind` what earlier
        renames of this resource pulled and failed with (LeftBehindError): name and digest.
        """
        declared = declare(values)
        before = declared_in(state)
        if declared.model_name == before.model_name:
            server = await self._fit_server(declared)
            await placement.refuse_unheld(server, declared)
            await placement.refuse_second_resident(server, declared, {declared.model_name})
            async with _turn(server, declared.model_name):
                return await self._apply(server, declared, values, state["id"], state)
        self.give_up(state)
        if digest := left_behind.get(str(declared.model_name)):
            self._server(declared).handed_over.setdefault(declared.model_name, (Origin.PULLED, digest))
        async with _turn(self._server(declared), before.model_name, declared.model_name):
            return await self._rename(state, before, declared, values, old_name)

    async def read(self, state: Mapping[str, Any]) -> State | None:
        """The state as it is now, or None where the model is gone. Any other failure is raised: it is not "gone"."""
        declared = declared_in(state)
        server = self._server(declared)
        view = await server.view(REFRESH_SECONDS)
        if declared.model_name not in view.installed:
            return None
        found = await self._observed(server, declared, dict(state), view, state)
        return found | {"origin": _origin_now(state, declared.model_name, view.installed).value}

    async def delete(
        self, state: Mapping[str, Any], keeps: str = "", left_behind: Mapping[str, str] = _NOTHING
    ) -> None:
        """Unloads, waits until it is out of memory, then deletes where the model is the resource's to delete.

        That is what `on_destroy` says, else its `origin`. `keeps` says why the files stay anyway. Gone is success.
        `left_behind` is as for an update: what is still as it was left goes, too.
        """
        declared = declared_in(state)
        server = self._server(declared)
        self.give_up(state)
        async with _turn(server, declared.model_name):
            await self._release(server, declared, state, keeps)
        for name, digest in left_behind.items():
            left = left_behind_state(state, name, digest)
            async with _turn(server, ModelName.parse(name)):
                await self._release(server, declared_in(left), left)

    def give_up(self, state: Mapping[str, Any]) -> None:
        """Notes whose a model is that its resource has no more after this run, for another one that takes it over."""
        declared, digest = declared_in(state), state.get("digest")
        if isinstance(digest, str):
            noted = origin_in(state), digest.removeprefix("sha256:")
            self._server(declared).handed_over[declared.model_name] = noted

    async def hand_over(self, state: Mapping[str, Any]) -> None:
        """Unloads what the next create of the same name in this run goes on from; it has this one's origin."""
        declared = declared_in(state)
        server = self._server(declared)
        async with _turn(server, declared.model_name):
            await self._release(server, declared, state, "is created again")
            server.handed_over[declared.model_name] = origin_in(state), None

    async def adopt(self, import_id: str) -> State:
        """The state of a model that is there, from `name` or `name@host`. Raises NotFoundError where it is not.

        After a `?` stands what its declaration says besides (`_IMPORTED`), as `keep_alive=5m&on_destroy=unload`: the
        plan has then nothing to change.
        """
        values = _imported(import_id)
        name = values["name"]
        declared = declare(values)
        server = self._server(declared)
        view = await server.view()
        if declared.model_name not in view.installed:
            raise NotFoundError(f"the import of {name}", server.client.url, "there is no model of that name")
        if _is_pinned(view.running, declared.model_name) and "keep_alive" not in values:
            values["memory_management"] = "manual"
        found = values | {"id": identity(declared), "origin": Origin.FOUND.value}
        return await self._observed(server, declare(values), found, view, found)

    async def _create(self, server: Server, declared: ModelDeclaration, values: Mapping[str, Any]) -> State:
        gguf = await self._look_at_gguf(declared, None)
        view = await server.view()
        was_pinned = _is_pinned(view.running, declared.model_name)
        is_there = is_back = False
        try:
            presence = await content.make_present(server, declared, gguf, self._report, must_make=True)
            is_there, is_back = True, presence.previous is not None
            await self._settle(server, declared, presence, was_pinned)
            origin = self._origin(server, declared, view)
            return await self._result(server, declared, values, identity(declared), origin, gguf)
        except (OllamaError, asyncio.CancelledError) as error:
            origin = self._origin(server, declared, view)
            is_as_it_was = not is_there or (is_back and isinstance(error, OllamaError))
            if is_as_it_was and origin is Origin.FOUND:
                raise
            is_there = is_there or isinstance(error, content.UnseenError)
            state = await self._what_is_kept(server, declared, values, origin, gguf, is_there=is_there)
            if state is None:
                raise
            raise UnplacedError(str(error) or "stopped on request", state) from error

    async def _apply(
        self,
        server: Server,
        declared: ModelDeclaration,
        values: Mapping[str, Any],
        resource_id: str,
        state: Mapping[str, Any],
    ) -> State:
        gguf = await self._look_at_gguf(declared, state)
        view = await server.view()
        is_there = declared.model_name in view.installed
        origin = _origin_now(state, declared.model_name, view.installed) if is_there else brought_by(declared)
        was_pinned = _is_pinned(view.running, declared.model_name)
        must_make = _content_differs(state, declared, gguf)
        presence = await content.make_present(server, declared, gguf, self._report, must_make=must_make)
        await self._settle(server, declared, presence, was_pinned)
        if was_pinned and declared_in(state).must_be_resident and declared.is_left_to_the_server:
            # The pin was ours, and nobody else would ever take it away.
            await placement.unload(server, presence.model, declared.timeouts.unload, self._report)
        return await self._result(server, declared, values, resource_id, origin, gguf)

    async def _what_is_kept(
        self,
        server: Server,
        declared: ModelDeclaration,
        values: Mapping[str, Any],
        origin: Origin,
        gguf: content.GgufFile | None,
        *,
        is_there: bool,
    ) -> State | None:
        """The state of what a create that failed has made: no model may be on a server that no state knows.

        None where nothing was made. Where the server does not say (`is_there`: it was made), what is not known is null.
        """
        kept = _kept(values, identity(declared), origin, gguf)
        seen: State = dict.fromkeys(OUTPUTS.keys() - kept.keys()) | {"drift": NO_DRIFT}
        try:
            async with asyncio.timeout(KEPT_SECONDS):
                view = await server.view()
                if declared.model_name not in view.installed:
                    return None
                is_there, seen = True, seen | _seen(declared, kept, view, None)
                with suppress(OllamaError):
                    seen |= await self._details(server, view.installed[declared.model_name], None)
        except (OllamaError, TimeoutError):
            if not is_there:
                return None
        server.made.add(declared.model_name)
        return kept | seen

    async def _rename(
        self,
        state: Mapping[str, Any],
        before: ModelDeclaration,
        declared: ModelDeclaration,
        values: Mapping[str, Any],
        old_name: Verdict,
    ) -> State:
        """The new one is there and verified before the old one is touched; then one load apart, old out and new in.

        An old name that another resource has now, or will have in this run, is left to it.
        """
        server = await self._fit_server(declared)
        await _refuse_unreachable(server, before)
        await placement.refuse_unheld(server, declared)
        await placement.refuse_second_resident(server, declared, {declared.model_name, before.model_name})
        gguf = await self._look_at_gguf(declared, state)
        view = await server.view()
        was_pinned = _is_pinned(view.running, declared.model_name)
        presence = await content.make_present(server, declared, gguf, self._report, must_make=True)
        old = (await server.client.installed()).get(before.model_name)
        if old and await self._goes(server, before, declared, old_name):
            await placement.unload(server, old, before.timeouts.unload, self._report)
        try:
            await self._settle(server, declared, presence, was_pinned)
        except OllamaError as error:
            if old and before.model_name not in server.made:
                self._report(f"{error}; going back to {before.model_name}")
                await placement.place(server, before, old.digest, self._report)
            if declared.model_name not in view.installed:
                await self._take_back(server, declared, presence.model, error)
            raise
        if not old_name.leaves:
            await self._release(server, before, state, old_name.keeps)
        origin = self._origin(server, declared, view)
        return await self._result(server, declared, values, state["id"], origin, gguf)

    async def _take_back(
        self, server: Server, declared: ModelDeclaration, made: InstalledModel, error: OllamaError
    ) -> None:
        """After a failed rename: no state will know what was made, and a pull is not to be paid for twice.

        Raises LeftBehindError where that stays.
        """
        if not declared.is_made_here:
            raise LeftBehindError(error, declared.model_name, made.digest) from error
        with suppress(OllamaError):
            await placement.unload(server, made, declared.timeouts.unload, self._report)
            await content.forget(server, declared.model_name)

    async def _goes(
        self, server: Server, before: ModelDeclaration, declared: ModelDeclaration, old_name: Verdict
    ) -> bool:
        """Whether the model of before has to leave the memory for the one that comes."""
        if before.on_destroy is OnDestroy.KEEP or before.model_name in server.made:
            return False
        return not old_name.leaves or await placement.share_weights(server, before.model_name, declared.model_name)

    def _origin(self, server: Server, declared: ModelDeclaration, before: View) -> Origin:
        """Of what an apply makes present. What was there before is found, even by a create that was cut off.

        What the stack itself had is still its own, as far as this run has shown it meanwhile.
        """
        name = declared.model_name
        there = before.installed.get(name)
        if there is None:
            return brought_by(declared)
        origin, digest = server.handed_over.get(name, (Origin.FOUND, None))
        if origin is not Origin.FOUND and digest in (None, there.digest):
            return brought_by(declared) if declared.is_made_here else origin
        self._report(f"{name}: {WAS_THERE}: a destroy leaves its files, unless on_destroy says otherwise")
        return Origin.FOUND

    async def _settle(
        self, server: Server, declared: ModelDeclaration, presence: content.Presence, was_pinned: bool
    ) -> None:
        """Places what is present in memory, in the place of the runner of what the name held before."""
        name, previous = declared.model_name, presence.previous
        try:
            await placement.refuse_unheld(server, declared, presence.model)
            if declared.must_be_resident and is_mlx(presence.model):
                self._report(f"{name}: {MLX_MEMORY}")
            if previous:
                await placement.unload(server, previous, declared.timeouts.unload, self._report, shown_as=name)
            await placement.place(server, declared, presence.model.digest, self._report)
        except OllamaError as error:
            if previous:
                await self._bring_back(server, declared, previous, error, was_pinned)
            raise
        if previous:
            await content.forget_second(server, previous.name)

    async def _bring_back(
        self,
        server: Server,
        declared: ModelDeclaration,
        previous: InstalledModel,
        error: OllamaError,
        was_pinned: bool,
    ) -> None:
        name = declared.model_name
        self._report(f"{error}; going back to the content of before")
        await content.restore_previous(server, name)
        if was_pinned:
            resident = declare({"name": str(name), "memory_management": "manual", "host": declared.host})
            await placement.place(server, resident, previous.digest, self._report)

    async def _result(
        self,
        server: Server,
        declared: ModelDeclaration,
        values: Mapping[str, Any],
        resource_id: str,
        origin: Origin,
        gguf: content.GgufFile | None,
    ) -> State:
        found = _kept(values, resource_id, origin, gguf)
        server.made.add(declared.model_name)
        return await self._observed(server, declared, found, await server.view(), None)

    async def _release(
        self, server: Server, declared: ModelDeclaration, state: Mapping[str, Any], keeps: str = ""
    ) -> None:
        name, origin = declared.model_name, origin_in(state)
        if declared.on_destroy is OnDestroy.KEEP:
            return
        if name in server.made:
            self._report(f"{name}: left, since another resource has it now")
            return
        await _refuse_unreachable(server, declared)
        installed = await server.client.installed()
        if name in installed:
            await placement.unload(server, installed[name], declared.timeouts.unload, self._report)
        is_as_left = name not in installed or _is_as_left(state, name, installed)
        keeps = keeps or why_kept(declared, origin, is_as_left=is_as_left)
        if previous := installed.get(second_name(name)):  # of an apply that was cut off, and that nobody goes on from
            if keeps and name in installed and previous.digest != installed[name].digest:
                await content.restore_previous(server, name)
                self._report(f"{name}: has the content again that it had before an apply that was cut off")
            else:
                await content.forget_second(server, previous.name)
                self._report(f"{previous.name}: deleted")
        if keeps:
            self._report(f"{name}: {keeps}: its files stay")
        elif name in installed:
            await content.forget(server, name)
            server.handed_over.pop(name, None)
            self._report(f"{name}: deleted")

    async def _observed(
        self,
        server: Server,
        declared: ModelDeclaration,
        found: State,
        view: View,
        known: Mapping[str, Any] | None,
    ) -> State:
        """`found` with its outputs as the view shows them; details are asked only where the content is not `known`."""
        details = await self._details(server, view.installed[declared.model_name], known)
        return found | _seen(declared, found, view, known) | details

    async def _details(self, server: Server, model: InstalledModel, known: Mapping[str, Any] | None) -> State:
        """What /api/show alone says."""
        if known and _same_digest(known.get("digest"), model.digest) and known.get("capabilities") is not None:
            return {name: known[name] for name in _DETAILS}
        if runs_elsewhere(model):  # to ask for more would be a call to whoever runs it
            return {"context_length": 0, "capabilities": list(model.capabilities)}
        details = await server.client.show(model.name)
        return {"context_length": details.context_length, "capabilities": list(details.capabilities)}

    async def _look_at_gguf(
        self, declared: ModelDeclaration, state: Mapping[str, Any] | None
    ) -> content.GgufFile | None:
        if declared.gguf is None:
            return None
        seen = state.get("gguf_file") if state and state.get("gguf") == declared.gguf else None
        return await asyncio.to_thread(content.look_at, Path(declared.gguf), seen)

    def _server(self, declared: ModelDeclaration) -> Server:
        server = self._servers.at(self._settings.connection(declared.host))
        server.tell_withheld(self._report)
        return server

    async def _fit_server(self, declared: ModelDeclaration) -> Server:
        server = self._server(declared)
        await server.be_fit()
        if problem := await refused_by(server, declared):
            raise RefusedError(f"the making of {declared.model_name}", server.client.url, str(problem))
        return server


@asynccontextmanager
async def _turn(server: Server, *names: ModelName) -> AsyncIterator[None]:
    async with AsyncExitStack() as turns:
        for name in sorted(set(names), key=str):  # in one order everywhere, so that nobody waits in a circle
            await turns.enter_async_context(server.turn(name))
        yield


async def _refuse_unreachable(server: Server, declared: ModelDeclaration) -> None:
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


def left_behind_state(state: Mapping[str, Any], name: str, digest: str) -> State:
    """What a failed rename of a resource left, as if it had a state of its own."""
    kept = {key: state.get(key) for key in ("host", "on_destroy", "timeouts")}
    return kept | {"name": name, "digest": digest, "origin": Origin.PULLED.value}


def may_misfit(values: Mapping[str, Any]) -> bool:
    """Whether known inputs are such that `Lifecycle.misfit` has to ask a server."""
    return values.get("memory_management") == "manual" or may_be_refused(values)


def declared_in(state: Mapping[str, Any]) -> ModelDeclaration:
    """What a state was declared as. Raises InvalidDeclarationError."""
    # The digest of a state is the one that is there, not one that was asked for. And a state must be readable where
    # its local file is not, so nothing is checked here beyond the fields' own form.
    known = {name: state[name] for name in INPUTS if state.get(name) is not None and name != "digest"}
    return recorded(known)


def _normal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs in a form in which equal declarations are equal, defaults included."""
    fields = ModelDeclaration.model_fields
    normal = {name: fields[name].default for name in INPUTS}
    normal |= {name: values[name] for name in INPUTS if values.get(name) is not None}
    normal |= {name: ModelName.parse(normal[name]) for name in ("name", "base") if isinstance(normal[name], str)}
    if normal["keep_alive"]:
        normal["keep_alive"] = durations.parse(normal["keep_alive"])
    if normal["memory_management"] == MemoryManagement.MANUAL and normal["resident"] is None:
        normal["resident"] = True
    if normal["parameters"]:
        normal["parameters"] = typed_all(normal["parameters"])
    if normal["host"]:
        normal["host"] = server_key(normal["host"])
    if normal["digest"]:
        normal["digest"] = normal["digest"].removeprefix("sha256:")
    timeouts = dict(normal["timeouts"])
    normal["timeouts"] = Timeouts(**{key: value for key, value in timeouts.items() if value is not None}).in_seconds()
    return normal


def _content_differs(state: Mapping[str, Any], declared: ModelDeclaration, gguf: content.GgufFile | None) -> bool:
    if state.get("drift") == CONTENT_REPLACED:
        return True
    old, new = _normal(state), _normal(declared.model_dump(mode="json", exclude_none=True))
    old_file: Mapping[str, Any] = state.get("gguf_file") or {}
    has_other_file = old_file.get("digest") != (gguf["digest"] if gguf else None)
    return has_other_file or any(old[name] != new[name] for name in _CONTENT_INPUTS)


def _gguf_changed(state: Mapping[str, Any], file: Path) -> bool:
    seen: content.GgufFile | None = state.get("gguf_file")
    return seen is not None and content.look_at(file, seen)["digest"] != seen["digest"]


def _same_digest(declared: object, found: str) -> bool:
    return isinstance(declared, str) and declared.removeprefix("sha256:") == found


def _is_as_left(state: Mapping[str, Any], name: ModelName, installed: Mapping[ModelName, InstalledModel]) -> bool:
    """Whether a name has what the last apply left; after an apply that was cut off, its second name has it."""
    there = (installed[one].digest for one in (name, second_name(name)) if one in installed)
    return any(_same_digest(state.get("digest"), digest) for digest in there)


def _origin_now(state: Mapping[str, Any], name: ModelName, installed: Mapping[ModelName, InstalledModel]) -> Origin:
    """Whose a model is: what somebody else made under its name was found."""
    return origin_in(state) if _is_as_left(state, name, installed) else Origin.FOUND


def _is_pinned(running: Running, name: ModelName) -> bool:
    return any(model.name == name and running.is_pinned(model) for model in running.models)


def _kept(values: Mapping[str, Any], resource_id: str, origin: Origin, gguf: content.GgufFile | None) -> State:
    """What a state has of the declaration and of the apply, whatever the server says."""
    inputs = {name: values[name] for name in INPUTS if values.get(name) is not None}
    return inputs | {"id": resource_id, "origin": origin.value} | ({"gguf_file": gguf} if gguf else {})


def _seen(declared: ModelDeclaration, found: State, view: View, known: Mapping[str, Any] | None) -> State:
    """The outputs that a look at the server shows; the `_DETAILS` are not among them."""
    model = view.installed[declared.model_name]
    return {
        "digest": found["digest"] if _same_digest(found.get("digest"), model.digest) else model.digest,
        "size": model.size,
        "family": model.family,
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization_level,
        "pinned": _is_pinned(view.running, model.name),
        "drift": _drift(declared, model, view, known),
    }


def _imported(import_id: str) -> dict[str, str]:
    """The inputs that an import names. Raises InvalidDeclarationError for another one than `_IMPORTED`."""
    identity, _, more = import_id.partition("?")
    name, _, host = identity.partition("@")
    values = {"name": name} | ({"host": host} if host else {})
    for part in filter(None, more.split("&")):
        key, _, value = part.partition("=")
        if key not in _IMPORTED:
            found = f"{key!r} after the ? of {import_id!r}"
            raise InvalidDeclarationError([Problem(("id",), found, f"KEY=VALUE with one of {', '.join(_IMPORTED)}")])
        values[key] = value
    return values


def _drift(declared: ModelDeclaration, model: InstalledModel, view: View, known: Mapping[str, Any] | None) -> str:
    if second_name(declared.model_name) in view.installed:
        return APPLY_CUT_OFF
    was_replaced = known and (
        known.get("drift") == CONTENT_REPLACED or not _same_digest(known.get("digest"), model.digest)
    )
    if declared.is_made_here and was_replaced:
        return CONTENT_REPLACED
    return drift_of(declared, model.digest, view.running)
