"""How `OllamaModel` does what Pulumi asks: Pulumi's calls over the lifecycle, in the provider's own process."""

import json
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pulumi
from pulumi import dynamic
from pulumi.runtime import rpc

from ollama_provider import pulumi_host
from ollama_provider.apply.declarations import Residents, key_of
from ollama_provider.apply.failures import UnplacedError
from ollama_provider.apply.ownership import origin_in, told
from ollama_provider.apply.planning import difference, may_misfit, unbounded_pin
from ollama_provider.apply.server import Servers
from ollama_provider.apply.sight import FREE, Sight, Verdict
from ollama_provider.apply.states import INPUTS, NO_DRIFT, State, declared_in
from ollama_provider.background_loop import BackgroundLoop, InterruptedWorkError
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.model import (
    InvalidDeclarationError,
    ModelDeclaration,
    OnDestroy,
    Problem,
    declare,
    missing_file,
    problems_of,
)
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.runner_commands import without_runner_commands
from ollama_provider.pulumi_properties import DECLARED_BESIDE

T = TypeVar("T")
Properties = dict[str, Any]

_loop = BackgroundLoop(pulumi_host.must_stop)
_servers = Servers()
_residents = Residents()
_told: set[str] = set()
_sight = Sight()
_noted_beside: set[tuple[tuple[str, Any], ...]] = set()
_has_seen_all = False
_GIVES_UP = "the one that gives it up"
# A state's `digest` is what is there; whether one was asked for is not to be seen in it.
_EXPECTED_DIGEST = "expected_digest"


class Worker:
    """Translates Pulumi's calls. Its settings, secrets included, exist only in the provider's own process."""

    _settings: ProviderSettings

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        pulumi_host.adapt()
        names = {"host": "host", "token": "token", "headers": "headers", "ca_file": "caFile"}
        names |= {"memory": "memory", "memory_check": "memoryCheck"}
        configuration = {name: req.config.get(f"ollama:{key}") for name, key in names.items()}
        with _plain_errors():
            if isinstance(configuration["headers"], str):
                configuration["headers"] = _read_json(configuration["headers"])
            self._settings = ProviderSettings.read(configuration, os.environ)

    def check(self, _olds: Properties, news: Properties) -> dynamic.CheckResult:
        self._note_beside(news.pop(DECLARED_BESIDE, None) or [])
        values, unknown = _given(news), _unknown(news)
        problems = problems_of(values, unknown)
        if not problems and (problem := missing_file(values, unknown, before=_olds)):
            problems = [problem]
        if not problems and not unknown and (problem := self._declare(declare(values))):
            problems = [problem]
        if not problems and not unknown and not _olds and (problem := self._misfit(values)):
            problems = [problem]
        failures = [_failure(problem) for problem in problems]
        if not failures and not unknown and not _olds:
            self._warn_of_replaced_content(values)
        # No drift is part of what is declared: so a preview shows what a refresh found, and that it will be fixed.
        return dynamic.CheckResult({**values, "drift": NO_DRIFT}, failures)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.DiffResult:
        values, unknown = _given(_news), _unknown(_news)
        found = difference(_olds, values, unknown, self._settings.host)
        if found.changed and not unknown and (problem := self._misfit(values)):
            raise pulumi_host.PlainError(without_runner_commands(str(problem)))
        if not unknown:
            stays_pinned = _olds.get("pinned") and not declared_in(_olds).must_be_resident  # a pin of ours goes
            _warn_of_pin({**values, "pinned": stays_pinned})
            if found.replaces or _is_renamed(_olds, values):
                self._warn_of_what_is_given_up(_olds)
                self._warn_of_replaced_content(values)
        return dynamic.DiffResult(
            changes=bool(found.changed), replaces=list(found.replaces), delete_before_replace=False
        )

    def create(self, props: Properties) -> dynamic.CreateResult:
        values = _given(props)
        try:
            state = self._run(lambda lifecycle: lifecycle.create(values))
        except UnplacedError as error:
            outputs = _outputs(error.state, values)
            raise pulumi_host.UnfinishedError(without_runner_commands(str(error)), error.state["id"], outputs) from None
        _warn_of_pin(state)
        return dynamic.CreateResult(state["id"], _outputs(state, values))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.UpdateResult:
        values, before = _given(_news), {**_olds, "id": _id}
        is_renamed = _is_renamed(before, values)

        async def update(lifecycle: Lifecycle) -> State:
            return await lifecycle.update(before, values, await self._verdict(before) if is_renamed else FREE)

        state = self._run(update)
        _warn_of_pin(state)
        return dynamic.UpdateResult(_outputs(state, values))

    def read(self, id_: str, props: Properties) -> dynamic.ReadResult:
        state = self._run(lambda lifecycle: lifecycle.read({**props, "id": id_}))
        if state is None:
            return dynamic.ReadResult("", {})
        _warn_of_pin(state)
        inputs = _given(state)
        inputs.pop("digest", None)
        if expected := state.get(_EXPECTED_DIGEST):
            inputs["digest"] = expected
        return dynamic.ReadResult(id_, _outputs(state, inputs), {**inputs, "drift": state["drift"]})

    def delete(self, _id: str, _props: Properties) -> None:
        state = {**_props, "id": _id}

        async def delete(lifecycle: Lifecycle) -> None:
            await lifecycle.delete(state, await self._verdict(state))

        self._run(delete)

    def _note_beside(self, declarations: Sequence[Properties]) -> None:
        """Notes what the program declares; one is empty where Pulumi knows it only when other resources are done."""
        global _has_seen_all  # noqa: PLW0603
        for values in filter(None, declarations):
            one = tuple(sorted(values.items()))
            if one in _noted_beside:  # by the check of another resource, which carried it too
                continue
            _noted_beside.add(one)
            with suppress(InvalidDeclarationError):  # which its own check says
                declared = declare(values)
                _sight.declare(key_of(declared, self._settings.host), declared, "", before=None)
        if declarations:
            _has_seen_all = all(declarations)

    def _declare(self, declared: ModelDeclaration) -> Problem | None:
        """Notes a model for those that are given up, and says where two cannot both be resident.

        Pulumi does not say whose check it is, and may ask twice: a second resource is refused where it is declared.
        """
        key = key_of(declared, self._settings.host)
        problem = _sight.declare(key, declared, "", before=None)
        return problem or _residents.problem_with(key.server, declared)

    async def _verdict(self, state: Properties) -> Verdict:
        """Of a model that a resource gives up. Pulumi deletes when the whole program has been run."""
        declared = declared_in(state)
        return await _sight.verdict(key_of(declared, self._settings.host), declared, _GIVES_UP)

    def _misfit(self, values: Properties) -> Problem | None:
        """What does not fit, where that is an error; where it is a warning, it is shown."""
        if not may_misfit(values):
            return None
        found = self._run(lambda lifecycle: lifecycle.planning.misfit(values))
        if found is None:
            return None
        if found.is_error:
            return found.problem
        _show(f"warning: {found.problem.found}")
        return None

    def _warn_of_replaced_content(self, values: Properties) -> None:
        if words := self._run(lambda lifecycle: lifecycle.planning.replaced_content(values)):
            _warn_once(words)

    def _warn_of_what_is_given_up(self, state: Properties) -> None:
        declared = declared_in(state)
        # Not to be waited for: Pulumi comes to the next resource when this call has returned.
        verdict = _sight.verdict_now(key_of(declared, self._settings.host), declared, _GIVES_UP)
        words = told(declared, origin_in(state), verdict)
        if verdict == FREE and declared.on_destroy is not OnDestroy.KEEP and not _has_seen_all:
            words += ". If another resource declares it, and does not depend on this one, it stays as it is"
        _warn_once(words)

    def _run(self, work: Callable[[Lifecycle], Coroutine[Any, Any, T]]) -> T:
        lifecycle = Lifecycle(self._settings, _servers, _show)
        with _plain_errors():
            return _loop.run(work(lifecycle))


def _failure(problem: Problem) -> dynamic.CheckFailure:
    return dynamic.CheckFailure(".".join(map(str, problem.path)), without_runner_commands(problem.reason))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns the failures that a user can fix into errors of text alone."""
    try:
        yield
    except (OllamaError, InvalidDeclarationError, InterruptedWorkError) as error:
        raise pulumi_host.PlainError(without_runner_commands(str(error))) from None


def _is_renamed(state: Properties, values: Properties) -> bool:
    return declared_in(state).model_name != declare(values).model_name


def _warn_of_pin(state: Mapping[str, Any]) -> None:
    """Of a model that is left to Ollama and pinned forever: once, though a refresh and a preview both see it."""
    if words := unbounded_pin(state):
        _warn_once(words)


def _warn_once(words: str) -> None:
    if words not in _told:
        _told.add(words)
        _show(f"warning: {words}")


def _show(line: str) -> None:
    # What a provider prints is shown live, under the stack.
    print(without_runner_commands(line), flush=True)


def _given(properties: Mapping[str, Any]) -> Properties:
    return {name: properties[name] for name in INPUTS if properties.get(name) is not None}


def _outputs(state: Mapping[str, Any], values: Mapping[str, Any]) -> Properties:
    outputs = {name: value for name, value in state.items() if name != "id"}
    return outputs | ({_EXPECTED_DIGEST: values["digest"]} if "digest" in values else {})


def _unknown(properties: Mapping[str, Any]) -> set[str]:
    return {name for name, value in properties.items() if _holds_unknown(value)}


def _holds_unknown(value: Any) -> bool:
    # In a preview an unknown value is an object of its own, or, inside of others, a text that stands for it.
    if isinstance(value, Mapping):
        return any(map(_holds_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_holds_unknown, value))
    return isinstance(value, pulumi.output.Unknown) or value == rpc.UNKNOWN


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # it is then refused as no map, without being repeated
