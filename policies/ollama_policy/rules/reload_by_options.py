"""OLL403: a request whose options make a new runner of a model that is pinned."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ollama_policy.declarations import contains_unknown, is_pinned, model_name
from ollama_policy.rules.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.servers import decided, number
from ollama_policy.settings import ENDPOINT, Kind, Subject
from ollama_provider.ollama.variables import VRAM_TIERS

# What reloads a runner, and what it is where nobody says otherwise. None: it depends on the server, or is left open.
_DEFAULTS: dict[str, Any] = {
    "num_ctx": None,
    "num_batch": 512,
    "num_gpu": -1,
    "main_gpu": 0,
    "use_mmap": None,
    "num_thread": 0,
}
_CONTEXT = "OLLAMA_CONTEXT_LENGTH"
_DECLARED = "- name: llama3-long\n  base: llama3\n  memory_management: manual\n  parameters:\n    num_ctx: 8192\n"
_BODY = """#!/bin/sh
curl http://ollama:11434/api/generate -d '{{"model": "llama3-long", "options": {{"num_ctx": {}}}}}'
"""


class ReloadByOptions(Rule):
    id = "OLL403"
    name = "reload-by-options"
    severity = Severity.WARNING
    kind = Kind.REQUEST
    keys: ClassVar[frozenset[str]] = frozenset(("model", *(f"options.{option}" for option in _DEFAULTS)))
    summary = "a request whose options reload a pinned model"
    why = (
        "A runner is loaded for one set of options. A request with another num_ctx, num_batch, num_gpu, main_gpu, "
        "use_mmap or num_thread ends it and starts a new one, which takes the server's OLLAMA_KEEP_ALIVE: the pin "
        "is gone, and two clients with different options reload the model again and again."
    )
    fix = "Put the option into the declaration, with `base` and `parameters`, and leave it out of requests."
    bad = (Example("models.yaml", _DECLARED), Example("ask.sh", _BODY.format("«32768»")))
    good = (Example("models.yaml", _DECLARED), Example("ask.sh", _BODY.format("8192")))
    source = "server/sched.go, needsReload"

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
        contexts = _server_contexts(subjects, target)
        for request in requests if pinned else ():
            declaration = pinned.get(name) if (name := model_name(request.value("model"))) is not None else None
            is_api = str(request.value(ENDPOINT)).startswith("/api/")  # elsewhere options are not sent with a request
            if declaration is None or not is_api:
                continue
            parameters = declaration.value("parameters")
            if contains_unknown(parameters) or not isinstance(parameters, dict | None):
                continue
            for option, default in _DEFAULTS.items():
                setting = request.known(f"options.{option}")
                if setting is None or setting.value is None:
                    continue
                own = (parameters or {}).get(option, default)
                likely = contexts if option == "num_ctx" and own is None else (own,)
                is_left_open = option == "num_gpu" and str(setting.value).startswith("-")  # never reloads
                if is_left_open or any(_same(setting.value, value) for value in likely):
                    continue
                yield self.at(
                    setting,
                    request,
                    f'{option} {setting.value} reloads "{declaration.value("name")}", and its pin is lost',
                    label=f"{declaration.address} has {own}" if own is not None else "it was loaded with another one",
                )


def _same(one: Any, other: Any) -> bool:
    return str(one).removesuffix(".0") == str(other).removesuffix(".0")


def _server_contexts(subjects: Sequence[Subject], target: Target) -> tuple[int, ...]:
    """The context lengths that a model without one of its own may have been loaded with."""
    servers = [subject for subject in subjects if subject.kind is Kind.SERVER]
    known = [number(server, _CONTEXT, target) or 0 for server in servers if decided(server, _CONTEXT)]
    if servers and len(known) == len(servers) and all(known):
        return tuple(known)
    return (*known, *VRAM_TIERS)
