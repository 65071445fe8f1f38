"""What is declared for a server beside what it said: pure, and the same from the network and from a file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ollama_policy.live import fix_commands
from ollama_policy.live.declared import Declared
from ollama_policy.live.snapshot import AbandonedRunner, ServerState
from ollama_policy.model.rule import Finding, Severity
from ollama_policy.model.settings import Address, Setting, Span, Subject
from ollama_policy.rules.drift_kinds import (
    AbandonedProcess,
    Drift,
    HeldTooLong,
    InMemory,
    LeakingServer,
    MissingModel,
    NotResident,
    Orphan,
    OtherContent,
    OtherContext,
    PinLost,
    PinnedUnbounded,
    UndeclaredInMemory,
    UndeclaredOnDisk,
)
from ollama_policy.rules.leaking_version import leaks_of
from ollama_provider.apply import drift
from ollama_provider.ollama import durations, kinds
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.leaks import fixed_in
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.reloading import fields_hidden, options_shown, reloading_fields
from ollama_provider.ollama.sizes import text_of
from ollama_provider.ollama.versions import version_in

_DIGITS = 12  # of a digest, as `ollama ls` shows them


def judge(
    seen: ServerState, models: Sequence[Declared], others: Iterable[ModelName], is_complete: bool
) -> list[Finding]:
    """The drift of one server: `models` are declared for it.

    `others` are declared, and may be for it. Where not all declarations are known (`is_complete`), nothing can be
    called undeclared.
    """
    return [*_Judge(seen, models, set(others), is_complete).findings()]


def orphans(seen: ServerState) -> list[RunningModel]:
    """What is in memory and is not reached by the name that /api/ps shows it under."""
    return [model for model in seen.running.models if not _is_reached(seen, model)]


def _is_reached(seen: ServerState, model: RunningModel) -> bool:
    there = seen.installed.get(model.name)
    return there is not None and there.digest == model.digest


class _Judge:
    def __init__(
        self, seen: ServerState, models: Sequence[Declared], others: set[ModelName], is_complete: bool
    ) -> None:
        self._seen = seen
        self._models = models
        self._is_complete = is_complete
        self._url = seen.url
        self._address = Address(seen.url)
        self._orphans = orphans(seen)
        reached = tuple(model for model in seen.running.models if _is_reached(seen, model))
        self._running = Running(reached, seen.running.server_time)
        self._names = {one.model_name for one in models} | others

    def findings(self) -> Iterator[Finding]:
        yield from self._leaking()
        for one in self._models:
            yield from self._of(one)
        for runner in self._orphans:
            yield self._orphan(runner)
        for process in self._seen.abandoned:
            yield self._abandoned(process)
        if self._is_complete:
            yield from self._undeclared()

    # Of a declaration.

    def _of(self, one: Declared) -> Iterator[Finding]:
        name, there = one.model_name, self._seen.installed.get(one.model_name)
        if there is None:
            message = f"{_quoted(name)} is declared, but is not on {self._url}"
            yield self._at(
                MissingModel, one, ("name",), message, fix_commands.apply(one, fix_commands.pull(self._url, one))
            )
            return
        yield from self._content(one, there.digest)
        if one.is_decided:
            found = drift.drift_of(one, there.digest, self._running)
            if found != drift.AS_DECLARED:
                yield _MEMORY[found](self, one)
            elif drift.is_pinned_unbounded(one, there.digest, self._running):
                yield self._pinned_unbounded(one)
        yield from self._context(one)

    def _content(self, one: Declared, there: str) -> Iterator[Finding]:
        name = one.model_name
        if one.second_name in self._seen.installed:
            message = (
                f"{_quoted(name)} is being exchanged on {self._url}, or an apply was cut off: its older content is "
                "kept under a second name"
            )
            advice = fix_commands.apply(one, fix_commands.remove(self._url, one.second_name))
            yield self._at(OtherContent, one, ("name",), message, advice)
        elif one.digest:
            if one.digest != there:
                message = (
                    f"{_quoted(name)} is declared with digest {one.digest[:_DIGITS]}, and {self._url} has "
                    f"{there[:_DIGITS]}"
                )
                advice = fix_commands.apply(one, fix_commands.pull(self._url, one))
                yield self._at(OtherContent, one, ("digest",), message, advice)
        elif one.state_digest and one.state_digest != there:
            message = (
                f"{_quoted(name)} was applied with digest {one.state_digest[:_DIGITS]}, and {self._url} has "
                f"{there[:_DIGITS]}"
            )
            # A model that is made here is made again; of one that is pulled, any content is right but a declared one.
            advice = fix_commands.apply(one, "") if one.is_made_here else fix_commands.refresh(one)
            yield self._at(OtherContent, one, ("base", "gguf", "name"), message, advice)

    def _not_resident(self, one: Declared) -> Finding:
        message = f"{_quoted(one.model_name)} is declared resident, but is not in memory on {self._url}"
        there = self._seen.installed[one.model_name]
        if why := kinds.why_not_held(one.model_name, there, there.capabilities, version_in(self._seen.version)):
            message += f", and an apply refuses this: {why}"
            return self._at(NotResident, one, ("memory_management",), message, f"declare {kinds.WHAT_TO_DECLARE}")
        other = next((model for model in self._seen.running.models if model.digest == there.digest), None)
        if other is not None:
            message += f" under this name: {_quoted(other.name)} has the same content, and is"
        return self._at(NotResident, one, ("resident", "memory_management"), message, self._pin(one))

    def _pin_lost(self, one: Declared) -> Finding:
        model = self._in_memory(one.model_name)
        message = (
            f"{_quoted(one.model_name)} is declared resident, but its pin is lost on {self._url}: released in "
            f"{self._left(model)} without a call"
        )
        if kinds.is_mlx(self._seen.installed[one.model_name]):
            message += ": a client's own keep_alive; no options reload a safetensors model"
        elif one.context_length not in (None, model.context_length):
            message += (
                f"; num_ctx in a client's options reloaded it with a context of {model.context_length} where "
                f"{one.context_length} is declared"
            )
        else:
            message += self._why_lost(one, model)
        return self._at(PinLost, one, ("resident", "memory_management"), message, self._pin(one))

    def _why_lost(self, one: Declared, model: RunningModel) -> str:
        """What loaded it anew, or may have: as much as its context and its process show."""
        known = "as declared" if one.context_length else str(model.context_length)
        version, flags = version_in(self._seen.version), self._seen.flags.get(model.name)
        if flags is None:
            fields, but = reloading_fields(version), ""
        else:
            shown = options_shown(flags).items()
            given = {name: text for name, text in shown if str(one.parameters.get(name)) != text}
            if given:
                options = ", ".join(f"{name} {text}" for name, text in given.items())
                return f"; its process was started with {options}, which a client's options set, or the model's own"
            fields, but = (
                fields_hidden(flags, version, knows_context=bool(one.context_length)),
                ", which its process does not show",
            )
        return (
            f"; its context is {known}: a client's own keep_alive, or a client's request that reloaded it with one of "
            f"{', '.join(fields)}{but}"
        )

    def _is_in_memory(self, one: Declared) -> Finding:
        model = self._in_memory(one.model_name)
        message = (
            f"{_quoted(one.model_name)} is declared not to be in memory, but is in memory on {self._url}: "
            f"{self._held(model)}"
        )
        advice = fix_commands.apply(one, fix_commands.stop(self._url, one.model_name))
        return self._at(InMemory, one, ("resident",), message, advice)

    def _held_too_long(self, one: Declared) -> Finding:
        model, keep_alive = self._in_memory(one.model_name), one.keep_alive or ""
        message = (
            f"{_quoted(one.model_name)} is declared with keep_alive {keep_alive}, and on {self._url} it is "
            f"{self._held(model)}"
        )
        advice = fix_commands.apply(one, fix_commands.hold(self._url, one.model_name, keep_alive))
        return self._at(HeldTooLong, one, ("keep_alive",), message, advice)

    def _pinned_unbounded(self, one: Declared) -> Finding:
        message = (
            f"{_quoted(one.model_name)} is left to Ollama and its clients, and on {self._url} it is pinned, never "
            "released: the declaration has no keep_alive that an apply could restore"
        )
        return self._at(PinnedUnbounded, one, ("memory_management", "name"), message, drift.UNBOUNDED_CURES)

    def _context(self, one: Declared) -> Iterator[Finding]:
        wanted = one.context_length
        for model in self._running.models:
            if wanted is not None and model.name == one.model_name and model.context_length > wanted:
                message = (
                    f"{_quoted(model.name)} declares a context of {wanted}, and is in memory on {self._url} with "
                    f"{model.context_length}, {text_of(model.size)} in all"
                )
                # Loaded anew, by whoever comes or at once, it has its own parameters.
                advice = self._hold(one) if one.must_be_resident else fix_commands.stop(self._url, model.name)
                yield self._at(OtherContext, one, ("parameters",), message, advice)

    def _pin(self, one: Declared) -> str:
        return fix_commands.apply(one, self._hold(one))

    def _hold(self, one: Declared) -> str:
        return fix_commands.hold(self._url, one.model_name, "-1m")

    def _in_memory(self, name: ModelName) -> RunningModel:
        """The one of that name that is held longest."""
        return max((model for model in self._running.models if model.name == name), key=lambda model: model.expires_at)

    # Of a server.

    def _leaking(self) -> Iterator[Finding]:
        version = version_in(self._seen.version)
        if version is not None and (message := leaks_of(version)):
            wanted = ".".join(map(str, fixed_in(version)))
            yield self._on(LeakingServer, "", message, f"update it to Ollama {wanted}", self._seen.version)

    def _orphan(self, runner: RunningModel) -> Finding:
        there = self._seen.installed.get(runner.name)
        what = f"{_quoted(runner.name)} {runner.digest[:_DIGITS]} is in memory, {text_of(runner.size)}"
        why = "its name has other content now" if there is not None else "its name is gone"
        same = [name for name, model in self._seen.installed.items() if model.digest == runner.digest]
        version = version_in(self._seen.version)
        through = [name for name in same if kinds.can_be_reached(name, version) and not name.is_cloud_tag]
        advice = fix_commands.stop(self._url, through[0]) if through else fix_commands.reclaim(self._url)
        severity = None if self._seen.running.is_pinned(runner) else Severity.INFO
        owner = next((one for one in self._models if one.model_name == runner.name), None)
        value = f"{runner.name} {runner.digest}"
        if owner is not None:
            message = f"{what} on {self._url}, and {why}: {self._held(runner)}"
            found = self._at(Orphan, owner, ("name",), message, advice)
            return found._replace(value=f"{value} at {self._url}", severity=severity)
        message = f"{what}, and {why}: {self._held(runner)}"
        return self._on(Orphan, str(runner.name), message, advice, value)._replace(severity=severity)

    def _abandoned(self, process: AbandonedRunner) -> Finding:
        message = (
            f"process {process.pid} of {process.user} is a runner whose server was killed: it holds "
            f"{text_of(process.resident)}, and no /api/ps shows it; its weights are {process.blob[: _DIGITS + 7]}"
        )
        return self._on(AbandonedProcess, "", message, fix_commands.reclaim(self._url), f"{process.pid}")

    def _undeclared(self) -> Iterator[Finding]:
        for model in self._running.models:
            if model.name not in self._names:
                name = str(model.name)
                message = f"{_quoted(model.name)} is in memory, {text_of(model.size)}, but is not declared: "
                advice = fix_commands.stop(self._url, model.name)
                yield self._on(UndeclaredInMemory, name, message + self._held(model), advice, name)
        needed = {one.base for one in self._models} | {one.second_name for one in self._models}
        for installed, model_on_disk in self._seen.installed.items():
            if installed not in self._names and installed not in needed:
                name = str(installed)
                message = f"{_quoted(installed)} is on disk, {text_of(model_on_disk.size)}, but is not declared"
                advice = fix_commands.remove(self._url, installed)
                if not kinds.can_be_reached(installed, version_in(self._seen.version)):
                    message += f"; this version of Ollama reaches {_quoted(installed.reached)} by that name"
                    advice = kinds.how_to_remove(installed)
                if kinds.is_called_elsewhere(installed, model_on_disk, version_in(self._seen.version)):
                    message += f"; {kinds.called_elsewhere(installed)}"
                yield self._on(UndeclaredOnDisk, name, message, advice, name)

    def _held(self, model: RunningModel) -> str:
        if self._seen.running.is_pinned(model):
            return "pinned, never released"
        return f"released in {self._left(model)} without a call"

    def _left(self, model: RunningModel) -> str:
        """By the server's own clock, which is the one that its timers run by."""
        seconds = round(self._seen.running.left_of(model).total_seconds())
        return durations.text(max(seconds, 0) * durations.NANOSECONDS["s"])

    # Findings.

    def _at(self, kind: type[Drift], one: Declared, keys: Sequence[str], message: str, advice: str) -> Finding:
        """At the setting that decides, or at the declaration itself."""
        subject = one.subject
        setting = _setting(subject, keys)
        file, span = (subject.file, subject.span) if setting is None else (setting.file, setting.span)
        value = f"{one.model_name} at {self._url}"
        return Finding(kind, message, file, span, subject.address, "declared here", (), advice, value)

    def _on(self, kind: type[Drift], name: str, message: str, advice: str, value: str) -> Finding:
        return Finding(kind, message, self._address, _NOWHERE, name, "", (), advice, value)


_NOWHERE = Span(0, 0)
_MEMORY: dict[str, Callable[[Any, Declared], Finding]] = {
    drift.NOT_IN_MEMORY: _Judge._not_resident,
    drift.PIN_LOST: _Judge._pin_lost,
    drift.IN_MEMORY: _Judge._is_in_memory,
    drift.PINNED_BY_CLIENT: _Judge._held_too_long,
    drift.HELD_TOO_LONG: _Judge._held_too_long,
}


def _setting(subject: Subject, keys: Sequence[str]) -> Setting | None:
    return next((subject.settings[key] for key in keys if key in subject.settings), None)


def _quoted(name: ModelName) -> str:
    return f'"{name}"'
