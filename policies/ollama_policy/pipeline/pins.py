"""Which declarations an apply would refuse to pin, as far as the tree, the target and a snapshot show it. Pure."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ollama_policy.model.declarations import MANUAL, is_pinned, model_name
from ollama_policy.model.one_server import groups
from ollama_policy.model.rule import Target
from ollama_policy.model.servers import decided
from ollama_policy.model.settings import Kind, Setting, Subject
from ollama_policy.rules.conflicting_declarations import are_two_resources
from ollama_policy.rules.limit_too_small import capacity, least

if TYPE_CHECKING:
    from ollama_provider.ollama.names import ModelName

_SOURCES = ("base", "gguf")


def refused(wanted: Sequence[Subject], subjects: Sequence[Subject], target: Target) -> dict[int, str]:
    """By `id`, those that are not to be pinned, were all of `wanted` pinned at once, and why.

    Of those that share their weights none is: which of them is meant to stay, nobody says. Of those that together take
    more than there is, the first ones are, as many as fit.
    """
    found = {id(one): "another that is or would be resident has the same weights" for one in _sharing(wanted, subjects)}
    found |= {id(one): "another server runs it" for one in _held_elsewhere(wanted, target)}
    rest = [one for one in wanted if id(one) not in found]
    return found | {id(one): "it does not fit beside the pins" for one in _beyond_memory(rest, subjects, target)}


def _sharing(wanted: Sequence[Subject], subjects: Sequence[Subject]) -> Iterator[Subject]:
    """Those whose weights another resident has, too, or another that is to be one: a file of weights has one runner.

    Of one model in two resources, none: an apply refuses both.
    """
    chosen = {id(one) for one in wanted}
    for declarations in groups(subjects):
        residents: dict[Hashable, list[Subject]] = defaultdict(list)
        bases = _bases(declarations)
        for one in declarations:
            if (id(one) in chosen or is_pinned(one) is not False) and (weights := _weights(one, bases)) is not None:
                residents[weights].append(one)
        for sharing in residents.values():
            names = {model_name(one.value("name")) for one in sharing}
            if len(names) > 1 or None in names or any(are_two_resources(sharing[0], one) for one in sharing[1:]):
                yield from (one for one in sharing if id(one) in chosen)


def _bases(declarations: Iterable[Subject]) -> "dict[ModelName, Hashable]":
    """What each declared model is made from: another model, or a file."""
    found: dict[ModelName, Hashable] = {}
    for one in declarations:
        name = model_name(one.value("name"))
        if name is not None and (source := _source(one)) is not None:
            found[name] = source
    return found


def _source(subject: Subject) -> Hashable | None:
    base, file = model_name(subject.value("base")), subject.value("gguf")
    return base if base is not None else file if isinstance(file, str) else None


def _weights(subject: Subject, bases: "dict[ModelName, Hashable]") -> Hashable | None:
    """What stands for the weights of a declared model: the end of the chain of its bases; None: not known."""
    if not all(decided(subject, key) for key in _SOURCES):
        return None
    weights = _source(subject) or model_name(subject.value("name"))
    passed: set[Hashable] = set()
    while weights in bases and weights not in passed:
        passed.add(weights)
        weights = bases[weights]  # type: ignore[index]
    return weights


def _held_elsewhere(wanted: Sequence[Subject], target: Target) -> Iterator[Subject]:
    """Those that a snapshot of the server shows as another server's."""
    if target.snapshot is None or target.models is None:
        return
    for one in wanted:
        names = [name for key in ("name", "base") if (name := model_name(one.value(key))) is not None]
        if any(map(target.models.runs_elsewhere, names)):
            yield one


def _beyond_memory(wanted: Sequence[Subject], subjects: Sequence[Subject], target: Target) -> Iterator[Subject]:
    """Those that do not fit beside what is pinned already, in their order."""
    servers = [one for one in subjects if one.kind is Kind.SERVER]
    there_is = capacity(servers, target) if wanted else None
    if there_is is None:
        return
    chosen = {id(one) for one in wanted}
    # Every declaration of the tree, with those pinned that are to be: a variant's size may be its base's to tell.
    every = [_pinned(one) if id(one) in chosen else one for one in subjects]
    pins = [one for one in every if one.kind is Kind.MODEL and is_pinned(one) and one.value("host") is None]
    needs = least(pins, every, target)
    names = {name for one in wanted if (name := model_name(one.value("name"))) is not None}
    total = sum(need for name, need in needs.items() if name not in names)
    counted: set[ModelName] = set()
    for one in wanted:
        name = model_name(one.value("name"))
        need = 0 if name is None or name in counted or one.value("host") is not None else needs.get(name, 0)
        if one.value("host") is None and total + need > there_is:
            yield one
        elif name is not None:
            counted.add(name)
            total += need


def _pinned(subject: Subject) -> Subject:
    """The declaration as it would be."""
    of = subject.kind, subject.address, subject.file, subject.span, subject.style
    copy = Subject(*of, unknown=subject.unknown, unit=subject.unit, is_open=subject.is_open)
    copy.settings = subject.settings | {
        "memory_management": Setting("memory_management", MANUAL, subject.span, subject.file, is_literal=False)
    }
    return copy
