"""The managed resource `ollama_model`: Terraform's operations over the lifecycle."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_provider.lifecycle import (
    APPLY_CUT_OFF,
    CONTENT_REPLACED,
    INPUTS,
    NO_DRIFT,
    OUTPUTS,
    Difference,
    State,
    UnplacedError,
    declared_in,
    difference,
    identity,
    may_misfit,
    unbounded_pin,
)
from ollama_provider.model import ModelDeclaration, PullPolicy, missing_file, problems_of
from ollama_provider.ollama.names import InvalidNameError, ModelName
from ollama_provider.ownership import WAS_THERE, Origin, origin_in, told
from ollama_provider.terraform.declared import (
    known_inputs,
    model_schema,
    plain_of,
    plain_state,
    upgraded,
    with_defaults,
)
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
# Private: a state whose creation did not come to its end, and the object that a planned creation will be.
_IS_UNFINISHED, _SUCCESSOR = "unfinished", "successor"
_DESCRIBES_CONTENT = ("size", "family", "parameter_size", "quantization_level", "context_length", "capabilities")
_CHANGES_CONTENT = {"name", "base", "gguf", "parameters", "system", "template", "digest"}


class ModelResource(Resource):
    """One model on one server."""

    name = "ollama_model"

    def __init__(self, session: SessionOf) -> None:
        self._session = session
        self.schema = model_schema()

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        return diagnostics_of(problems_of(*known_inputs(config)))

    async def plan(self, prior: Values | None, config: Values, private: Private) -> Plan:
        values, unknown = known_inputs(config)
        if problem := missing_file(values, unknown, before=prior):
            raise DiagnosticsError(diagnostic_of(problem))
        if not unknown and (problem := self._session().residents.problem_with(values)):
            raise DiagnosticsError(diagnostic_of(problem))
        planned = with_defaults(config)
        if prior is None:
            return self._creation(planned, values, unknown, await self._misfit(values, unknown))
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
            outputs |= {"drift": NO_DRIFT, "pinned": _planned_pin(planned, stays_pinned)}
        if "name" in found.changed:
            outputs["origin"] = UNKNOWN
        if _gets_other_content(prior, found.changed, planned):
            outputs |= dict.fromkeys(_DESCRIBES_CONTENT, UNKNOWN)
            outputs["gguf_file"] = UNKNOWN if config["gguf"] is not None else None
            if config["digest"] is None:
                planned["digest"] = UNKNOWN
        said = await self._misfit(values, unknown) if found.changed else []
        planned |= outputs
        return Plan(planned, [(name,) for name in found.replaces], private, [*said, *self._unbounded(planned)])

    async def create(self, planned: Values, config: Values) -> Result:
        values, _ = known_inputs(config)
        with diagnosed():
            try:
                state = await self._session().lifecycle().create(values)
            except UnplacedError as error:
                kept = _as_planned(planned, error.state) | {"drift": UNFINISHED}
                return Result(kept, {_IS_UNFINISHED: True}, [failure(error)])
        return self._result(planned, state)

    async def update(self, prior: Values, planned: Values, config: Values) -> Result:
        values, _ = known_inputs(config)
        with diagnosed():
            state = await self._session().lifecycle().update(plain_state(prior), values)
        return self._result(planned, state)

    async def plan_destroy(self, prior: Values, private: Private) -> Plan:
        state = plain_state(prior)
        with diagnosed():
            declared = declared_in(state)
        return Plan(None, diagnostics=[Diagnostic(told(declared, origin_in(state)), is_warning=True)])

    async def delete(self, prior: Values, private: Private) -> Sequence[Diagnostic]:
        state = plain_state(prior)
        if await self._session().is_created_again(_identity(state)):
            return ()  # it stays as it is, for the resource that takes it over
        with diagnosed():
            lifecycle = self._session().lifecycle()
            if prior["drift"] == UNFINISHED and private.get(_SUCCESSOR) == _identity(state):
                await lifecycle.hand_over(state)
            else:
                await lifecycle.delete(state)
        return ()

    async def read(self, state: Values, private: Private) -> Result:
        with diagnosed():
            found = await self._session().lifecycle().read(plain_state(state))
        if found is None:
            return Result(None)
        if private.get(_IS_UNFINISHED):
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

    async def _difference(self, state: State, planned: Values, unknown: set[str]) -> Difference:
        values = {name: plain_of(planned, name) for name in INPUTS if name not in unknown}
        if values.get("gguf"):
            # To look at a local file may mean to read all of it.
            return await asyncio.to_thread(difference, state, values, unknown)
        return difference(state, values, unknown)

    async def _misfit(self, values: Values, unknown: set[str]) -> list[Diagnostic]:
        """A warning, or by the provider's `memory_check` an error, where what is to be pinned does not fit.

        What the server refuses is an error always.
        """
        if unknown or not may_misfit(values) or not self._session().is_known:
            return []
        found = await self._session().lifecycle().misfit(values)
        if found is None:
            return []
        problem = found.problem
        diagnostic = Diagnostic(found.summary, problem.found, problem.path, is_warning=not found.is_error)
        if found.is_error:
            raise DiagnosticsError(diagnostic)
        return [diagnostic]

    def _result(self, planned: Values, state: State) -> Result:
        warnings = self._unbounded(state)
        if planned["origin"] is UNKNOWN and state["origin"] == Origin.FOUND:
            detail = (
                "This resource takes it over. A destroy leaves its files, unless "
                'on_destroy = "delete" is applied before.'
            )
            warnings.append(Diagnostic(f"{state['name']} {WAS_THERE}", detail, is_warning=True))
        if state["drift"] != NO_DRIFT:
            warnings.append(Diagnostic(f"{state['name']}: {state['drift']}", is_warning=True))
        return Result(_as_planned(planned, state), diagnostics=warnings)

    def _unbounded(self, state: Values) -> list[Diagnostic]:
        """A warning where a model that is left to Ollama is pinned forever; UNKNOWN is told once it is known."""
        names = ("name", "memory_management", "keep_alive", "pinned")
        if any(state.get(name) is UNKNOWN for name in names):
            return []
        words = unbounded_pin(state)
        return self._session().warning(f"{state['name']} is pinned, and nothing bounds it", words) if words else []

    def _creation(self, planned: Values, values: Values, unknown: set[str], misfit: list[Diagnostic]) -> Plan:
        outputs: Values = {name: UNKNOWN for name in OUTPUTS if name not in INPUTS}
        outputs |= {"drift": NO_DRIFT, "pinned": _planned_pin(planned, UNKNOWN)}
        if planned["gguf"] is None:
            outputs["gguf_file"] = None
        if planned["digest"] is None:
            planned["digest"] = UNKNOWN
        private: Private = {}
        if not unknown & {"name", "host"}:
            outputs["id"] = _identity(values)
            private[_SUCCESSOR] = outputs["id"]
            self._session().creations.add(outputs["id"])
        return Plan(planned | outputs, private=private, diagnostics=misfit)


def _planned_pin(planned: Values, otherwise: Any) -> Any:
    if planned["memory_management"] is UNKNOWN or planned["resident"] is UNKNOWN:
        return UNKNOWN
    if planned["memory_management"] == "manual":
        return planned["resident"]
    return otherwise if planned["keep_alive"] is None else False


def _gets_other_content(prior: Values, changed: Sequence[str], planned: Values) -> bool:
    if not changed:
        return False
    is_replaced = prior["drift"] in (CONTENT_REPLACED, APPLY_CUT_OFF)
    may_be_pulled = planned["pull_policy"] in (PullPolicy.ALWAYS, UNKNOWN)
    return is_replaced or may_be_pulled or bool(_CHANGES_CONTENT & set(changed))


def _identity(values: Mapping[str, Any]) -> str:
    return identity(ModelDeclaration.model_validate({key: values[key] for key in ("name", "host") if values.get(key)}))


def _as_planned(planned: Values, state: State) -> Values:
    """The state, with everything that the plan promised: what moved since then is what the next refresh shows."""
    return {name: state.get(name) if value is UNKNOWN else value for name, value in planned.items()}
