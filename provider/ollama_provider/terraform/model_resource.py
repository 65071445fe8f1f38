"""The managed resource `ollama_model`: Terraform's operations over the lifecycle."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ollama_provider.apply.declarations import DeclaredModels, Key, key_of
from ollama_provider.apply.failures import LeftBehindError, UnplacedError
from ollama_provider.apply.ownership import WAS_THERE, Origin, origin_in, why_kept
from ollama_provider.apply.planning import Difference, difference, may_misfit, unbounded_pin
from ollama_provider.apply.sight import FREE, UNSEEN, Verdict, verdict_in
from ollama_provider.apply.states import (
    INPUTS,
    NO_DRIFT,
    OUTPUTS,
    State,
    declared_in,
    identity,
    left_behind_state,
)
from ollama_provider.engine_run import PULUMI
from ollama_provider.model import ModelDeclaration, Problem, declare, missing_file, problems_of
from ollama_provider.ollama.names import InvalidNameError, ModelName
from ollama_provider.terraform.declared import (
    known_inputs,
    model_schema,
    plain_of,
    plain_state,
    upgraded,
    with_defaults,
)
from ollama_provider.terraform.planned import as_planned, gets_other_content, planned_pin, said, where_replaced
from ollama_provider.terraform.protocol.provider import (
    Diagnostic,
    DiagnosticsError,
    Plan,
    Private,
    Resource,
    Result,
    Values,
)
from ollama_provider.terraform.protocol.values import UNKNOWN
from ollama_provider.terraform.session import SessionOf, diagnosed, diagnostic_of, diagnostics_of, failure

UNFINISHED = "created, and never placed in memory as declared: it will be, without another download"
# Private: a state whose creation did not come to its end; the object that a planned creation will be; the plan that it
# is of; what may be done with what a destroy, a replacement or a rename gives up; and what failed renames have left, by
# name, with its digest.
_IS_UNFINISHED, _SUCCESSOR, _PLAN, _VERDICT, _LEFT = "unfinished", "successor", "plan", "verdict", "left_behind"
_ONLY_CHANGES = "may be declared elsewhere too: this part of the run shows only what changes"
_DESCRIBES_CONTENT = ("size", "family", "parameter_size", "quantization_level", "context_length", "capabilities")
_NAMES = {"name", "host"}
_PLACES = (*_NAMES, "base", "memory_management", "resident")


class ModelResource(Resource):
    """One model on one server."""

    name = "ollama_model"

    def __init__(self, session: SessionOf, is_configured: Callable[[], bool]) -> None:
        self._session = session
        self._is_configured = is_configured
        self._validated = DeclaredModels()
        self.schema = model_schema()

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        values, unknown = known_inputs(config)
        problems = problems_of(values, unknown)
        if not problems and not self._is_configured() and not unknown & _NAMES:  # else a plan asks again for each
            declared = _declared(values)
            problem = self._validated.problem_with(key_of(declared, None), declared, uuid4().hex)
            problems = [problem] if problem else []
        return diagnostics_of(problems)

    async def plan(self, prior: Values | None, config: Values, private: Private) -> Plan:
        values, unknown = known_inputs(config)
        if problem := missing_file(values, unknown, before=prior):
            raise DiagnosticsError(diagnostic_of(problem))
        plan_id, before = self._noted(prior, private)
        self._refuse_second(values, unknown, plan_id, before)
        planned = with_defaults(config)
        if prior is None:
            private, diagnostics = await self._replaced(values, unknown, private, plan_id)
            diagnostics += await self._misfit(values, unknown)
            if plan_id not in self._session().planned:  # else it is this resource's own model
                diagnostics += await self._replaced_content(values, unknown)
            return self._creation(planned, values, unknown, private, diagnostics)
        found = await self._difference(plain_state(prior), planned, unknown)
        for name in INPUTS:
            is_same = name not in found.changed and name not in self.schema.blocks
            if is_same and config[name] is not None and prior[name] is not None:
                planned[name] = prior[name]  # the same in other words
        outputs = {name: prior[name] for name in OUTPUTS if name not in INPUTS}
        if config["digest"] is None:
            planned["digest"] = prior["digest"]
        if found.changed:
            stays_pinned = prior["pinned"] and prior["memory_management"] == "automatic"  # by a client
            outputs |= {"drift": NO_DRIFT, "pinned": planned_pin(planned, stays_pinned)}
        if "name" in found.changed:
            outputs["origin"] = UNKNOWN
        if gets_other_content(prior, found.changed, planned):
            outputs |= dict.fromkeys(_DESCRIBES_CONTENT, UNKNOWN)
            outputs["gguf_file"] = UNKNOWN if config["gguf"] is not None else None
            if config["digest"] is None:
                planned["digest"] = UNKNOWN
        diagnostics = await self._misfit(values, unknown) if found.changed else []
        # A failed apply leaves in the state what was planned for it.
        private = {key: value for key, value in private.items() if key != _VERDICT} | {_PLAN: plan_id}
        if found.replaces:
            verdict, text = await self._given_up(plan_id)
            private[_VERDICT] = verdict.noted()
            diagnostics.append(text)
        elif "name" in found.changed and before:
            verdict, text = await self._renamed(plan_id, before)
            private[_VERDICT] = verdict.noted()
            diagnostics += await self._replaced_content(values, unknown)
            where = "Where its name changes: " if "name" in unknown else ""
            diagnostics.append(replace(text, summary=where + text.summary))
        elif self._session().sight.run.replaces:
            # Which resource this is Terraform does not say, and no warning of the call after this one is shown.
            _, text = await self._given_up(plan_id, is_sure=False)
            diagnostics.append(where_replaced("-replace names it", text))
        planned |= outputs
        diagnostics += self._unbounded(planned)
        return Plan(planned, [(name,) for name in found.replaces], private, diagnostics)

    async def create(self, planned: Values, config: Values) -> Result:
        self._session().is_applying = True
        values, _ = known_inputs(config)
        with diagnosed():
            try:
                state = await self._session().lifecycle().create(values)
            except UnplacedError as error:
                kept = as_planned(planned, error.state) | {"drift": UNFINISHED}
                return Result(kept, {_IS_UNFINISHED: True}, [failure(error)])
        return self._result(planned, state)

    async def update(self, prior: Values, planned: Values, config: Values, private: Private) -> Result:
        session, state, (values, _) = self._session(), plain_state(prior), known_inputs(config)
        session.is_applying = True
        before, verdict = declared_in(state), FREE
        if before.model_name != _declared(values).model_name:
            verdict = verdict_in(private.get(_VERDICT))
        left = private.get(_LEFT, {})
        with diagnosed():
            try:
                updated = await session.lifecycle().update(state, values, verdict, left)
            except LeftBehindError as error:
                diagnostic = replace(failure(error), detail=f"{failure(error).detail}; a destroy deletes it")
                return Result(prior, {_LEFT: left | {str(error.name): error.digest}}, [diagnostic])
        left = {name: digest for name, digest in left.items() if name != str(declared_in(updated).model_name)}
        return replace(self._result(planned, updated), private={_LEFT: left} if left else {})

    async def plan_destroy(self, prior: Values, private: Private) -> Plan:
        session, state = self._session(), plain_state(prior)
        with diagnosed():
            declared, origin = declared_in(state), origin_in(state)
        unseen = _ONLY_CHANGES if session.is_applying else ""
        verdict = await session.sight.verdict(
            session.key_of(declared), declared, unseen=unseen, deletes=not why_kept(declared, origin)
        )
        texts, left = [said(declared, origin, verdict)], {}
        for name, digest in private.get(_LEFT, {}).items():
            # What another resource has had meanwhile is not to go; what a refresh has seen, one has.
            behind = declared_in(left_behind_state(state, name, digest))
            key = session.key_of(behind)
            other = session.seen.get(key) or await session.sight.verdict(key, behind, unseen=unseen) != FREE
            if not other and not why_kept(behind, Origin.PULLED):
                left[name] = digest
                texts.append(said(behind, Origin.PULLED, FREE))
        return Plan(None, private={_VERDICT: verdict.noted(), _LEFT: left}, diagnostics=texts)

    async def delete(self, prior: Values, private: Private) -> Sequence[Diagnostic]:
        session, state = self._session(), plain_state(prior)
        session.is_applying = True
        declared, origin = declared_in(state), origin_in(state)
        verdict = verdict_in(private.get(_VERDICT))
        if verdict == UNSEEN or (verdict.keeps and not verdict.leaves):
            # What is created again in this run, as where a block has another label, is not seen too late for this.
            unseen = "" if session.sight.run.engine == PULUMI else verdict.keeps
            verdict = await session.sight.verdict(session.key_of(declared), declared, unseen=unseen)
        with diagnosed():
            if not verdict.leaves and prior["drift"] == UNFINISHED and private.get(_SUCCESSOR) == _identity(state):
                await session.lifecycle().hand_over(state)
                return ()
            await session.lifecycle().delete(state, verdict, private.get(_LEFT, {}))
        is_news = verdict.keeps and not verdict.leaves and _VERDICT not in private and not why_kept(declared, origin)
        return [said(declared, origin, verdict)] if is_news else ()

    async def read(self, state: Values, private: Private) -> Result:
        with diagnosed():
            found = await self._session().lifecycle().read(plain_state(state))
        if found is None:
            return Result(None)
        session, declared, is_unfinished = self._session(), declared_in(found), bool(private.get(_IS_UNFINISHED))
        session.seen[session.key_of(declared)] = declared, origin_in(found), is_unfinished
        if is_unfinished:
            found["drift"] = UNFINISHED
        now = state | {name: found.get(name) for name in OUTPUTS}
        return Result(now, private, self._unbounded(now))

    async def adopt(self, import_id: str) -> Values:
        with diagnosed():
            found = await self._session().lifecycle().adopt(import_id)
        return with_defaults(dict.fromkeys(INPUTS) | found) | {name: found.get(name) for name in OUTPUTS}

    def upgrade(self, version: int, state: Mapping[str, Any]) -> Mapping[str, Any]:
        return upgraded(state)

    def take_over(self, source_type: str, state: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """From this type under another provider's address, or any type that is a model and has a model's name."""
        if source_type == self.name and OUTPUTS.keys() - {"origin"} <= state.keys():
            return upgraded(state)
        name = state.get("name") or state.get("model")
        if "model" not in source_type or not isinstance(name, str):
            return None
        try:
            model_name = ModelName.parse(name)
        except InvalidNameError:
            return None
        outputs = {"id": str(model_name), "origin": Origin.FOUND.value, "drift": NO_DRIFT}
        return with_defaults(dict.fromkeys(INPUTS) | {"name": name}) | outputs

    def _noted(self, prior: Values | None, private: Private) -> tuple[str, Key | None]:
        """Which plan this call belongs to, and the model that its resource had before.

        Terraform plans a replacement in two calls, the second without the prior state, with what the first noted.
        """
        session, plan_id = self._session(), str(private.get(_PLAN, ""))
        if prior is None and plan_id in session.planned:
            return plan_id, session.planned[plan_id][0]
        plan_id = uuid4().hex
        if prior is None:
            return plan_id, None
        state = plain_state(prior)
        before = declared_in(state)
        key = session.key_of(before)
        session.planned[plan_id] = key, before, origin_in(state)
        return plan_id, key

    def _refuse_second(self, values: Values, unknown: set[str], plan_id: str, before: Key | None) -> None:
        """Raises where another resource has the model, or holds its weights in memory."""
        session = self._session()
        is_bridged = session.sight.run.engine == PULUMI
        if unknown & _NAMES or (unknown and is_bridged):
            return
        # A bridge plans a resource as often as it likes, and does not say which one: equal ones count as one.
        resource = repr(sorted(values.items())) if is_bridged else plan_id
        declared = _declared(values)
        key = session.key_of(declared)
        problem = session.sight.declare(key, declared, resource, before=before)
        if not problem and not unknown:
            problem = session.residents.problem_with(key.server, declare(values))
        if problem:
            raise DiagnosticsError(diagnostic_of(problem))

    async def _given_up(self, plan_id: str, *, is_sure: bool = True, unseen: str = "") -> tuple[Verdict, Diagnostic]:
        """What may be done with what a plan's resource had before."""
        session = self._session()
        key, declared, origin = session.planned[plan_id]
        deletes = is_sure and not why_kept(declared, origin)
        verdict = await session.sight.verdict(key, declared, plan_id, unseen=unseen, deletes=deletes)
        return verdict, said(declared, origin, verdict)

    async def _replaced(
        self, values: Values, unknown: set[str], private: Private, plan_id: str
    ) -> tuple[Private, list[Diagnostic]]:
        """What a creation notes for the destroy of the object in whose place it comes, if it does, and says of it."""
        session = self._session()
        if _VERDICT in private:
            return private, []
        if plan_id in session.planned:
            verdict, _ = await self._given_up(plan_id)  # Terraform shows no warning of this second call
            return {_VERDICT: verdict.noted()}, []
        # A tainted object, of which Terraform says nothing here, is of the same name.
        verdict = Verdict(session.sight.narrowed())
        seen = None if unknown & _NAMES else session.seen.get(session.key_of(_declared(values)))
        if seen is None:
            return {_VERDICT: verdict.noted()}, []
        declared, origin, is_unfinished = seen
        shown = Verdict("is created again") if is_unfinished else verdict
        return {_VERDICT: verdict.noted()}, [where_replaced("it is tainted", said(declared, origin, shown))]

    async def _renamed(self, plan_id: str, before: Key) -> tuple[Verdict, Diagnostic]:
        """What may be done with the model of the old name.

        Raises where the name is another's, who has had it too, and gets no change.
        """
        session = self._session()
        verdict, text = await self._given_up(plan_id, unseen=await self._base_of(plan_id))
        if (other := session.sight.other(before, plan_id)) and not other[1]:
            expected = (
                f"no rename of a model that two resources have: another one declares {before.name} too, and keeps it. "
                "Remove this one from the state (terraform state rm); it is then created under its new name"
            )
            raise DiagnosticsError(diagnostic_of(Problem(("name",), f"a rename of {before.name}", expected)))
        return verdict, text

    async def _base_of(self, plan_id: str) -> str:
        """Why the files of a renamed model stay, where a model on the server was made from it; else empty.

        The server is asked, for of an apply Terraform plans each change once more, and shows nothing then of what does
        not change. What this run makes from another base is none.
        """
        session = self._session()
        key, declared, _ = session.planned[plan_id]
        await session.sight.hear(key, plan_id)
        for child in await session.lifecycle().planning.made_from(declared):
            other = session.sight.other(Key(key.server, child))
            if other is None or other[0].base_name == declared.model_name:
                return f"is the base of {child}, which is on the server"
        return ""

    async def _difference(self, state: State, planned: Values, unknown: set[str]) -> Difference:
        values = {name: plain_of(planned, name) for name in INPUTS if name not in unknown}
        host = self._session().host
        if values.get("gguf"):
            # To look at a local file may mean to read all of it.
            return await asyncio.to_thread(difference, state, values, unknown, host)
        return difference(state, values, unknown, host)

    async def _misfit(self, values: Values, unknown: set[str]) -> list[Diagnostic]:
        """A warning, or by the provider's `memory_check` an error, where what is to be pinned does not fit.

        What the server refuses is an error always.
        """
        if unknown or not may_misfit(values) or not self._session().is_known:
            return []
        found = await self._session().lifecycle().planning.misfit(values)
        if found is None:
            return []
        problem = found.problem
        diagnostic = Diagnostic(found.summary, problem.found, problem.path, is_warning=not found.is_error)
        if found.is_error:
            raise DiagnosticsError(diagnostic)
        return [diagnostic]

    async def _replaced_content(self, values: Values, unknown: set[str]) -> list[Diagnostic]:
        """A warning where a resource takes a name whose model has a content that no resource of the run brought."""
        if unknown or not self._session().is_known:
            return []
        key = self._session().key_of(declare(values))
        if any(key == had and origin is not Origin.FOUND for had, _, origin in self._session().planned.values()):
            return []
        words = await self._session().lifecycle().planning.replaced_content(values)
        return (
            [Diagnostic(f"{values['name']} will have another content", words, ("name",), is_warning=True)]
            if words
            else []
        )

    def _result(self, planned: Values, state: State) -> Result:
        warnings = self._unbounded(state)
        if planned["origin"] is UNKNOWN and state["origin"] == Origin.FOUND:
            content = ", with the content that it declares" if declared_in(state).is_made_here else ""
            detail = (
                f"This resource takes it over{content}. A destroy leaves its files, unless "
                'on_destroy = "delete" is applied before.'
            )
            warnings.append(Diagnostic(f"{state['name']} {WAS_THERE}", detail, is_warning=True))
        if state["drift"] != NO_DRIFT:
            warnings.append(Diagnostic(f"{state['name']}: {state['drift']}", is_warning=True))
        return Result(as_planned(planned, state), diagnostics=warnings)

    def _unbounded(self, state: Values) -> list[Diagnostic]:
        """A warning where a model that is left to Ollama is pinned forever; UNKNOWN is told once it is known."""
        names = ("name", "memory_management", "keep_alive", "pinned")
        if any(state.get(name) is UNKNOWN for name in names):
            return []
        words = unbounded_pin(state)
        return self._session().warning(f"{state['name']} is pinned, and nothing bounds it", words) if words else []

    def _creation(
        self, planned: Values, values: Values, unknown: set[str], private: Private, misfit: list[Diagnostic]
    ) -> Plan:
        outputs: Values = {name: UNKNOWN for name in OUTPUTS if name not in INPUTS}
        outputs |= {"drift": NO_DRIFT, "pinned": planned_pin(planned, UNKNOWN)}
        if planned["gguf"] is None:
            outputs["gguf_file"] = None
        if planned["digest"] is None:
            planned["digest"] = UNKNOWN
        if not unknown & _NAMES:
            outputs["id"] = _identity(values)
            private = private | {_SUCCESSOR: outputs["id"]}
        return Plan(planned | outputs, private=private, diagnostics=misfit)


def _declared(values: Mapping[str, Any]) -> ModelDeclaration:
    """What is known already of a declaration: which model it is, of which base, and whether it is to be in memory."""
    return ModelDeclaration.model_validate({name: values[name] for name in _PLACES if values.get(name) is not None})


def _identity(values: Mapping[str, Any]) -> str:
    return identity(ModelDeclaration.model_validate({key: values[key] for key in ("name", "host") if values.get(key)}))
