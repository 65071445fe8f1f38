"""OLL403: a request whose options make a new runner of a model that is pinned."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from ollama_policy.model.declarations import contains_unknown, is_pinned, model_name
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.servers import decided, number, versions_of
from ollama_policy.model.settings import ENDPOINT, Kind, Subject
from ollama_provider.ollama.parameters import typed_all
from ollama_provider.ollama.settings.batches import automatic_batch
from ollama_provider.ollama.settings.variables import VRAM_TIERS
from ollama_provider.ollama.versions import Behavior, Version

_OPTIONS: Final = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")
_CONTEXT, _PARALLEL = "OLLAMA_CONTEXT_LENGTH", "OLLAMA_NUM_PARALLEL"
_DECLARED = "- name: llama3-long\n  base: llama3\n  memory_management: manual\n  parameters:\n    num_ctx: 8192\n"
_BODY = """#!/bin/sh
curl http://ollama:11434/api/generate -d '{{"model": "llama3-long", "options": {{"num_ctx": {}}}}}'
"""


class _Loaded(NamedTuple):
    """With which values of an option a runner was likely loaded, and why these."""

    values: tuple[Any, ...]
    why: str


class ReloadByOptions(Rule):
    id = "OLL403"
    name = "reload-by-options"
    severity = Severity.WARNING
    kind = Kind.REQUEST
    keys: ClassVar[frozenset[str]] = frozenset(("model", "shift", *(f"options.{option}" for option in _OPTIONS)))
    summary = "a request whose options reload a pinned model"
    why = (
        "A runner is loaded for one set of options. A request with another num_ctx, num_batch, num_gpu, num_thread, "
        "main_gpu, use_mmap or draft_num_predict, or from 0.30 on with the field `shift: false`, ends the runner and "
        "starts a new one with the server's OLLAMA_KEEP_ALIVE: the pin is lost, and two clients with different options "
        "reload the model again and again. The rule compares the request with the declaration's own parameter or, "
        "without one, with what Ollama chooses: from 0.30 on a batch of 512, of 1024 for a context of more than 4096 "
        "tokens and of 2048 for more than 32768, if there is memory for it; no memory map on a CPU; no draft tokens. "
        "An explicit `main_gpu` reloads the model whatever its value."
    )
    fix = "Put the option into the declaration, with `base` and `parameters`, and remove it from requests."
    bad = (Example("models.yaml", _DECLARED), Example("ask.sh", _BODY.format("«32768»")))
    good = (Example("models.yaml", _DECLARED), Example("ask.sh", _BODY.format("8192")))
    source = "measured on 0.34.3; server/sched.go:1390, needsReload; server/sched.go:864 for the batch"
    experiment = (
        "Another num_ctx starts another process, and the pin is lost; the declared num_ctx changes nothing. The test "
        "tries all options that the rule names, and some that it does not name."
    )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        requests = [subject for subject in subjects if subject.kind is Kind.REQUEST]
        if not requests:
            return
        pinned = {
            name: subject
            for subject in subjects
            if subject.kind is Kind.MODEL and is_pinned(subject) and decided(subject, "parameters")
            if (name := model_name(subject.value("name"))) is not None
        }
        tree = _Tree(subjects, target) if pinned else None
        for request in requests if tree else ():
            declaration = pinned.get(name) if (name := model_name(request.value("model"))) is not None else None
            is_api = str(request.value(ENDPOINT)).startswith("/api/")  # elsewhere options are not sent with a request
            if declaration is None or tree is None or not is_api:
                continue
            parameters = declaration.value("parameters")
            if contains_unknown(parameters) or not isinstance(parameters, dict | None):
                continue
            yield from self._of_request(request, declaration, typed_all(parameters or {}), tree)

    def _of_request(
        self, request: Subject, declaration: Subject, parameters: dict[str, Any], tree: "_Tree"
    ) -> Iterator[Finding]:
        named = declaration.value("name")
        for option in _OPTIONS:
            setting = request.known(f"options.{option}")
            if setting is None or setting.value is None:
                continue
            if option == "num_gpu" and str(setting.value).startswith("-"):
                continue  # left to Ollama: never reloads
            own = parameters.get(option)
            if own is not None:
                loaded: _Loaded | None = _Loaded((own,), f"{declaration.address} sets {own}")
            else:
                loaded = tree.chosen(option, parameters)
            if loaded is None or any(_same(setting.value, value) for value in loaded.values):
                continue
            value = str(setting.value).lower() if isinstance(setting.value, bool) else setting.value
            message = f'{option} {value} reloads "{named}", and its pin is lost'
            yield self.at(setting, request, message, label=loaded.why)
        shift = request.known("shift")
        if shift is not None and shift.value is False and tree.any_does(Behavior.SHIFT_RELOADS):
            message = f'shift false reloads "{named}", and its pin is lost'
            yield self.at(
                shift,
                request,
                message,
                label="the model was loaded with the default, a context that shifts",
                advice="remove it from requests: a declaration cannot set it",
            )


class _Tree:
    """What the servers of a tree choose where neither a request nor a declaration says anything."""

    def __init__(self, subjects: Sequence[Subject], target: Target) -> None:
        self._versions: Sequence[Version | None] = versions_of(subjects, target)
        servers = [subject for subject in subjects if subject.kind is Kind.SERVER]
        self._contexts = _server_contexts(servers, target)
        self._parallel = tuple({number(server, _PARALLEL, target) or 1 for server in servers}) or (1,)

    def any_does(self, behavior: Behavior) -> bool:
        """Whether one of the servers does it; one whose version is not known counts as the newest."""
        return any(behavior.holds(version, if_unknown=behavior.until is None) for version in self._versions)

    def chosen(self, option: str, parameters: dict[str, Any]) -> _Loaded | None:
        """None: such a version does not know the option, and a request with it changes nothing."""
        if option == "num_ctx":
            return _Loaded(self._contexts, "the model was loaded with another num_ctx")
        if option == "num_batch":
            return self._batch(parameters.get("num_ctx"))
        if option == "num_gpu":
            return _Loaded((), "Ollama chose how much of the model is on the GPU")
        if option == "num_thread":
            return _Loaded((0,), "the runner chose the number of threads")
        if option == "main_gpu":
            if self.any_does(Behavior.MAIN_GPU_RELOADS):
                return _Loaded((), "whatever its value: the model was loaded without it")
            return _Loaded((0,), "the default is 0")
        if option == "use_mmap":
            if self.any_does(Behavior.NO_MMAP_RELOADS):
                return _Loaded((), "whatever its value: the model was loaded without it")
            return _Loaded((False,), "Ollama chose it at the load: on a CPU, without a memory map")
        return _Loaded((0,), "without a draft model it is 0") if self.any_does(Behavior.DRAFT_RELOADS) else None

    def _batch(self, own_context: Any) -> _Loaded:
        if not self.any_does(Behavior.AUTOMATIC_BATCH):
            return _Loaded((512,), "the default is 512")
        contexts = (own_context,) if isinstance(own_context, int | float) else self._contexts
        batches = tuple({automatic_batch(context * parallel) for context in contexts for parallel in self._parallel})
        if len(batches) > 1:
            return _Loaded(batches, f"Ollama chose {' or '.join(map(str, sorted(batches)))}, depending on the context")
        return _Loaded(batches, f"Ollama chose {batches[0]} for its context, if memory allows it")


def _same(one: Any, other: Any) -> bool:
    return str(one).removesuffix(".0") == str(other).removesuffix(".0")


def _server_contexts(servers: Sequence[Subject], target: Target) -> tuple[int, ...]:
    """The context lengths that a model without one of its own may have been loaded with."""
    known = [number(server, _CONTEXT, target) or 0 for server in servers if decided(server, _CONTEXT)]
    if servers and len(known) == len(servers) and all(known):
        return tuple(known)
    return (*known, *VRAM_TIERS)
