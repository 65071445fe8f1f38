"""The life of a declared model: check, diff, create, read, update, delete and import. Knows no engine.

The check is `model.problems_of`, with `model.missing_file` where a model is to be made. An adapter hands over plain
values and gets plain values back: a state is a dict that JSON can hold, the declared inputs and beside them what was
found (`OUTPUTS`). Nothing that moves by itself is in it. Every failure of a server is an OllamaError, every wrong input
an InvalidDeclarationError; a cancelled call leaves what the next one goes on from.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ollama_provider.apply import content, placement
from ollama_provider.apply.failures import LeftBehindError, UnplacedError
from ollama_provider.apply.ownership import WAS_THERE, Origin, brought_by, origin_in
from ollama_provider.apply.placement import Report
from ollama_provider.apply.planning import Planning, content_differs
from ollama_provider.apply.release import leave_or_release, refuse_unreachable, release, taking
from ollama_provider.apply.server import REFRESH_SECONDS, Server, Servers, View
from ollama_provider.apply.sight import FREE, Verdict
from ollama_provider.apply.states import (
    DETAILS,
    NO_DRIFT,
    OUTPUTS,
    State,
    declared_in,
    identity,
    imported,
    is_pinned,
    kept_of,
    left_behind_state,
    origin_now,
    outputs_of,
    same_digest,
)
from ollama_provider.apply.version_refusals import refused_by
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import (
    ModelDeclaration,
    OnDestroy,
    declare,
)
from ollama_provider.ollama.answers import InstalledModel
from ollama_provider.ollama.errors import NotFoundError, OllamaError, RefusedError
from ollama_provider.ollama.kinds import MLX_MEMORY, is_mlx, runs_elsewhere
from ollama_provider.ollama.names import ModelName

KEPT_SECONDS = 5.0
_NOTHING: Mapping[str, str] = {}


class Lifecycle:
    """The operations that ask a server. Belongs to one event loop; many may run in it at once."""

    def __init__(self, settings: ProviderSettings, servers: Servers, report: Report) -> None:
        self._settings = settings
        self._servers = servers
        self._report = report
        self.planning = Planning(settings, self._server)

    async def create(self, values: Mapping[str, Any]) -> State:
        """Makes present, then places in memory. A model that is there already is taken over as it stands."""
        declared = declare(values)
        async with taking(self._server(declared), declared, self._report):
            server = await self._fit_server(declared)
            await placement.refuse_unheld(server, declared)
            await placement.refuse_second_resident(server, declared, {declared.model_name})
            async with server.turn(declared.model_name):
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
            async with server.turn(declared.model_name):
                return await self._apply(server, declared, values, state["id"], state)
        self._give_up(state)
        server = self._server(declared)
        digest = left_behind.get(str(declared.model_name))
        if digest and not server.handover.was_given_up(declared.model_name):
            server.handover.give_up(declared.model_name, Origin.PULLED, digest)
        async with taking(server, declared, self._report), server.turn(before.model_name, declared.model_name):
            return await self._rename(state, before, declared, values, old_name)

    async def read(self, state: Mapping[str, Any]) -> State | None:
        """The state as it is now, or None where the model is gone. Any other failure is raised: it is not "gone"."""
        declared = declared_in(state)
        server = self._server(declared)
        view = await server.view(REFRESH_SECONDS)
        if declared.model_name not in view.installed:
            return None
        found = await self._observed(server, declared, dict(state), view, state)
        return found | {"origin": origin_now(state, declared.model_name, view.installed).value}

    async def delete(
        self, state: Mapping[str, Any], verdict: Verdict = FREE, left_behind: Mapping[str, str] = _NOTHING
    ) -> None:
        """Unloads, waits until it is out of memory, then deletes where the model is the resource's to delete.

        That is what `on_destroy` says, else its `origin`, as far as the verdict allows it. Gone is success.
        `left_behind` is as for an update: what is still as it was left goes, too.
        """
        declared = declared_in(state)
        server = self._server(declared)
        self._give_up(state)
        async with server.turn(declared.model_name):
            await leave_or_release(server, declared, state, verdict, self._report)
        for name, digest in left_behind.items():
            left = left_behind_state(state, name, digest)
            async with server.turn(ModelName.parse(name)):
                await release(server, declared_in(left), left, self._report)

    def _give_up(self, state: Mapping[str, Any]) -> None:
        """Notes whose a model is that its resource has no more after this run, for another one that takes it over."""
        declared, digest = declared_in(state), state.get("digest")
        if isinstance(digest, str):
            handover = self._server(declared).handover
            handover.give_up(declared.model_name, origin_in(state), digest.removeprefix("sha256:"))

    async def hand_over(self, state: Mapping[str, Any]) -> None:
        """Unloads what the next create of the same name in this run goes on from; it has this one's origin."""
        declared = declared_in(state)
        server = self._server(declared)
        async with server.turn(declared.model_name):
            await release(server, declared, state, self._report, "is created again")
            server.handover.give_up(declared.model_name, origin_in(state), None)

    async def adopt(self, import_id: str) -> State:
        """The state of a model that is there, from `name` or `name@host`. Raises NotFoundError where it is not.

        After a `?` stands what its declaration says besides (`_IMPORTED`), as `keep_alive=5m&on_destroy=unload`: the
        plan has then nothing to change.
        """
        values = imported(import_id)
        name = values["name"]
        declared = declare(values)
        server = self._server(declared)
        view = await server.view()
        if declared.model_name not in view.installed:
            raise NotFoundError(f"the import of {name}", server.client.url, "there is no model of that name")
        if is_pinned(view.running, declared.model_name) and "keep_alive" not in values:
            values["memory_management"] = "manual"
        found = values | {"id": identity(declared), "origin": Origin.FOUND.value}
        return await self._observed(server, declare(values), found, view, found)

    async def _create(self, server: Server, declared: ModelDeclaration, values: Mapping[str, Any]) -> State:
        gguf = await self._look_at_gguf(declared, None)
        view = await server.view()
        was_pinned = is_pinned(view.running, declared.model_name)
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
        origin = origin_now(state, declared.model_name, view.installed) if is_there else brought_by(declared)
        was_pinned = is_pinned(view.running, declared.model_name)
        must_make = content_differs(state, declared, gguf)
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
        kept = kept_of(values, identity(declared), origin, gguf)
        seen: State = dict.fromkeys(OUTPUTS.keys() - kept.keys()) | {"drift": NO_DRIFT}
        try:
            async with asyncio.timeout(KEPT_SECONDS):
                view = await server.view()
                if declared.model_name not in view.installed:
                    return None
                is_there, seen = True, seen | outputs_of(declared, kept, view, None)
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
        await refuse_unreachable(server, before)
        await placement.refuse_unheld(server, declared)
        await placement.refuse_second_resident(server, declared, {declared.model_name, before.model_name})
        gguf = await self._look_at_gguf(declared, state)
        view = await server.view()
        was_pinned = is_pinned(view.running, declared.model_name)
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
        await leave_or_release(server, before, state, old_name, self._report)
        if declared.model_name in view.installed:
            await server.handover.hear(declared.model_name)
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
        if (origin := server.handover.origin_of(name, there.digest)) is not Origin.FOUND:
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
        found = kept_of(values, resource_id, origin, gguf)
        server.made.add(declared.model_name)
        return await self._observed(server, declared, found, await server.view(), None)

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
        return found | outputs_of(declared, found, view, known) | details

    async def _details(self, server: Server, model: InstalledModel, known: Mapping[str, Any] | None) -> State:
        """What /api/show alone says."""
        if known and same_digest(known.get("digest"), model.digest) and known.get("capabilities") is not None:
            return {name: known[name] for name in DETAILS}
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
