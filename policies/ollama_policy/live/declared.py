"""What is declared, out of all that a tree says: the files as they are written, and beside them plans and states."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.model.declarations import AUTOMATIC, MANUAL, is_finite_duration, mode_of, model_name
from ollama_policy.model.result import Undecided, Unreadable
from ollama_policy.model.servers import decided
from ollama_policy.model.settings import Kind, Setting, SourceFile, Span, Subject, Unknown
from ollama_policy.pipeline.check import Reading
from ollama_policy.pipeline.discover import Entry, Workspace
from ollama_policy.pipeline.regular_files import read_regular
from ollama_policy.sources.pulumi import shown
from ollama_policy.sources.pulumi.configuration import project_of
from ollama_policy.sources.terraform import plan, state
from ollama_policy.sources.terraform.provider_host import ProviderHosts
from ollama_provider.apply.drift import second_name
from ollama_provider.ollama.names import InvalidServerError, ModelName, server_url
from ollama_provider.ollama.parameters import typed_all

_LARGEST_CONTEXT: Final = 2**40
_MEMORY: Final = ("memory_management", "keep_alive", "resident")
_INDEX: Final = re.compile(r"\[[^\[\]]*\]$")
_TERRAFORM: Final = re.compile(r"(?:module\.|ollama_model\.)")
_PULUMI: Final = re.compile(r"OllamaModel\(|resources\.")


class Declared:
    """One declared model: what is certain of it, and where that is written. Fits `apply.drift.Placed`."""

    def __init__(self, subject: Subject, name: ModelName) -> None:
        self.subject = subject
        self.model_name = name
        self.state_digest = ""  # what the last apply left, where a state says it
        self.host: Any = None  # a URL, Unknown, or None: it says none

    @cached_property
    def is_decided(self) -> bool:
        """Whether it is certain, and valid, what is declared of memory."""
        mode = mode_of(self.subject)
        if mode == MANUAL:
            return decided(self.subject, "resident") and self.subject.value("resident") in (None, True, False)
        keep_alive = self.subject.value("keep_alive")
        is_valid = keep_alive is None or is_finite_duration(keep_alive)
        return mode == AUTOMATIC and decided(self.subject, "keep_alive") and is_valid

    @cached_property
    def must_be_resident(self) -> bool:
        return mode_of(self.subject) == MANUAL and self.subject.value("resident") is not False

    @cached_property
    def must_be_absent(self) -> bool:
        return mode_of(self.subject) == MANUAL and self.subject.value("resident") is False

    @cached_property
    def keep_alive(self) -> str | None:
        value = self.subject.value("keep_alive")
        return value if isinstance(value, str) and mode_of(self.subject) == AUTOMATIC else None

    @cached_property
    def digest(self) -> str:
        """The digest that is declared, in hex; empty where none is."""
        value = self.subject.value("digest")
        return value.removeprefix("sha256:") if isinstance(value, str) else ""

    @cached_property
    def second_name(self) -> ModelName:
        return second_name(self.model_name)

    @cached_property
    def base(self) -> ModelName | None:
        return model_name(self.subject.value("base"))

    @cached_property
    def is_made_here(self) -> bool:
        """Whether the model is derived or uploaded, not pulled."""
        return any(key in self.subject.settings for key in ("base", "gguf"))

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The model's own parameters, as they are written."""
        written = self.subject.value("parameters")
        return written if isinstance(written, Mapping) else {}

    @cached_property
    def context_length(self) -> int | None:
        """The num_ctx of the model's own parameters."""
        value = typed_all({"num_ctx": self.parameters.get("num_ctx")}).get("num_ctx")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < _LARGEST_CONTEXT:
            return None
        return int(value)


def is_terraform(subject: Subject) -> bool:
    return _TERRAFORM.match(subject.address) is not None


def is_pulumi(subject: Subject) -> bool:
    return _PULUMI.match(subject.address) is not None


class Declarations(NamedTuple):
    """All that is declared. `is_complete`: there is no model whose name, or whose file, could not be read."""

    models: Sequence[Declared]
    undecided: Sequence[Undecided]
    problems: Sequence[Unreadable]
    is_complete: bool


def declarations(readings: Iterable[Reading], workspace: Workspace) -> Declarations:
    """What the files of a tree declare, each model once, with the digests and hosts that plans and states add."""
    return _Collector(workspace).collect(list(readings))


class _Collector:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._provider_hosts = ProviderHosts(workspace)
        self._found: dict[tuple[str, str, str, Span], Subject] = {}
        self._by_address: dict[str, list[Subject]] = {}
        self._digests: dict[tuple[str, str], str] = {}  # by unit and address
        self._hosts: dict[tuple[str, str], str] = {}
        self._problems: list[Unreadable] = []

    def collect(self, readings: list[Reading]) -> Declarations:
        written = [reading for reading in readings if not _is_machine_made(reading.file)]
        for reading in written:
            self._add(reading.subjects)
        for reading in readings:
            if plan.TerraformPlanSource().accepts(reading.file):
                self._replace(reading.subjects)
            elif shown.PulumiJson().accepts(reading.file):
                self._guarded(self._pulumi, reading.file, reading.subjects)
        for file in self._states(written):
            self._guarded(self._state, file, [])
        return self._result(any(reading.problem for reading in readings))

    def _add(self, subjects: Iterable[Subject]) -> None:
        for subject in subjects:
            if subject.kind is Kind.MODEL:
                kept = self._found.setdefault(_place(subject), subject)
                if kept is subject:
                    self._by_address.setdefault(subject.address, []).append(subject)

    def _guarded(self, read: "_Read", file: SourceFile, subjects: list[Subject]) -> None:
        try:
            read(file, subjects)
        except UnreadableError as error:
            if not any(problem.path == file.path for problem in self._problems):
                self._problems.append(Unreadable(file.path, str(error), file.position(error.offset)))

    # What a machine wrote says the same as what is written, with all values decided.

    def _pulumi(self, file: SourceFile, subjects: list[Subject]) -> None:
        self._replace(subjects)
        digests, host = shown.digests(file), shown.configured(file, "ollama:host")
        for subject in subjects:
            if digest := digests.get(subject.address):
                self._digests[_key(subject)] = digest
            if host:
                self._hosts[_key(subject)] = host

    def _state(self, file: SourceFile, subjects: list[Subject]) -> None:
        for stated in state.read(file):
            written = self._written_as(stated.subject)
            if not written:
                self._add([stated.subject])
                written = [stated.subject]
            for subject in written:
                _decide(subject, stated.subject)
                if stated.digest:
                    self._digests[_key(subject)] = stated.digest

    def _replace(self, subjects: list[Subject]) -> None:
        for subject in subjects:
            if subject.kind is Kind.MODEL:
                for written in self._written_as(subject):
                    del self._found[_place(written)]
                    self._by_address[written.address].remove(written)
                self._add([subject])

    def _written_as(self, subject: Subject) -> list[Subject]:
        """The declarations that a plan's or a state's resource is: by its address, in its own folder or the only one.

        A block whose for_each is not known stands for every instance.
        """
        addresses = {subject.address, _INDEX.sub("", subject.address)}
        found = (one for address in addresses for one in self._by_address.get(address, ()))
        same = [one for one in found if not state.is_state(one.file)]
        here = [one for one in same if _unit(one) == _unit(subject)]
        return here or (same if len({_unit(one) for one in same}) == 1 else [])

    def _states(self, written: list[Reading]) -> list[SourceFile]:
        """The states that were given, and those that Terraform keeps beside its files."""
        files: dict[str, SourceFile] = {}
        for entry in self._workspace.entries:
            if entry.name.endswith(state.SUFFIX) and (file := self._given(entry)) is not None:
                files[file.path] = file
        for reading in written:
            if state.is_state(reading.file):
                files[reading.file.path] = reading.file
        for subject in list(self._found.values()):
            if is_terraform(subject):
                beside = self._workspace.sibling(SourceFile(f"{_unit(subject)}/_", b""), "terraform.tfstate")
                if beside is not None:
                    files.setdefault(beside.path, beside)
        return list(files.values())

    def _given(self, entry: Entry) -> SourceFile | None:
        try:
            data = read_regular(entry.path)
        except (OSError, ValueError) as error:
            self._problems.append(Unreadable(entry.path, str(getattr(error, "strerror", None) or error).lower()))
            return None
        if data is None:
            self._problems.append(Unreadable(entry.path, "too large, expected a state of at most 10 MiB"))
        return None if data is None else SourceFile(entry.path, data)

    # What comes of it.

    def _result(self, has_unread: bool) -> Declarations:
        models, undecided = [], []
        for subject in self._found.values():
            named = subject.settings.get("name")
            name = model_name(subject.value("name"))
            if name is None:
                reason = "it has no name that can be read here"
                if named is not None:
                    reason = named.value.reason if isinstance(named.value, Unknown) else "its name is not valid"
                undecided.append(_undecided(subject, "name", reason))
                continue
            declared = Declared(subject, name)
            declared.state_digest = self._digests.get(_key(subject), "")
            declared.host = self._host(subject)
            if not declared.is_decided:
                undecided.append(_memory_undecided(subject))
            models.append(declared)
        is_complete = not has_unread and not self._problems and len(models) == len(self._found)
        return Declarations(models, undecided, self._problems, is_complete)

    def _host(self, subject: Subject) -> Any:
        value: Any = None
        if not decided(subject, "host"):
            setting = subject.settings.get("host")
            value = setting.value if setting is not None else subject.unknown
        elif subject.value("host") is not None:
            value = subject.value("host")
        elif _key(subject) in self._hosts:
            value = self._hosts[_key(subject)]
        elif is_terraform(subject):
            value = self._provider_hosts.of(subject)
        elif is_pulumi(subject):
            value = self._pulumi_host(subject)
        if value is None or isinstance(value, Unknown):
            return value
        try:
            return server_url(value) if isinstance(value, str) else Unknown("its host is not text")
        except InvalidServerError:
            return Unknown("its host is not an address that Ollama accepts")

    def _pulumi_host(self, subject: Subject) -> Any:
        project = project_of(subject.file, self._workspace)
        found = None if project is None else project.value("host", "ollama")
        return found if found is None or isinstance(found, Unknown) else found.node.value


_Read = Callable[[SourceFile, list[Subject]], None]


def _is_machine_made(file: SourceFile) -> bool:
    return plan.TerraformPlanSource().accepts(file) or shown.PulumiJson().accepts(file)


def _unit(subject: Subject) -> str:
    return subject.unit or "."


def _key(subject: Subject) -> tuple[str, str]:
    return _unit(subject), subject.address


def _place(subject: Subject) -> tuple[str, str, str, Span]:
    return (*_key(subject), subject.file.path, subject.span)


def _decide(subject: Subject, stated: Subject) -> None:
    """Takes from a state what the written form leaves open."""
    for key, setting in stated.settings.items():
        own = subject.settings.get(key)
        if own is not None and not own.is_known:
            subject.settings[key] = Setting(key, setting.value, own.span, own.file, "the state", is_literal=False)


def _undecided(subject: Subject, key: str, reason: str) -> Undecided:
    setting = subject.settings.get(key)
    file, span = (subject.file, subject.span) if setting is None else (setting.file, setting.span)
    return Undecided(key, subject.address, file, span, reason)


def _memory_undecided(subject: Subject) -> Undecided:
    for key in _MEMORY:
        setting = subject.settings.get(key)
        if setting is not None and isinstance(setting.value, Unknown):
            return _undecided(subject, key, setting.value.reason)
    if subject.unknown is not None:
        return _undecided(subject, "", subject.unknown.reason)
    return _undecided(subject, "memory_management", "it is not valid: see `ollama-policy check`")
