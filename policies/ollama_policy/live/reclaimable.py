"""What is to be freed, and how: pure, from what a server said and what is declared.

Ollama finds a runner by its weights file, not by its name. Measured on 0.17.4 and 0.34.3, of a model pinned and then
deleted, or whose name then got other weights: /api/ps goes on showing it as before, forever; an unload by its name
answers 404, or "unload" and does nothing to it; an unload through *any* name on the same weights ends it in under
0.1 s, and where no runner is on those weights such an unload loads nothing and changes nothing. So an orphan is freed
through another name.
Where a re-create left the weights as they were (another system prompt), the name itself is such a name.
What a name was derived from shares its weights: the orphan of a deleted base serves the calls to what was derived from
it, so that is left where a declaration wants it resident.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from ollama_policy.live.declared import Declared
from ollama_policy.live.runners.abandoned import Abandoned
from ollama_provider.ollama.answers import InstalledModel, Running, RunningModel, is_current
from ollama_provider.ollama.kinds import runs_elsewhere
from ollama_provider.ollama.names import ModelName

PURPOSE = "ollama-policy-reclaim"
_LEFTOVER = re.compile(rf"{PURPOSE}-[0-9a-f]{{12}}")


class Why(StrEnum):
    """Why something is to be freed."""

    DELETED = "orphan: its name is not on disk any more"
    MOVED = "orphan: its name has other content now"
    NOT_WANTED = "declared not to be in memory"
    UNDECLARED = "declared nowhere"
    LEFTOVER = "left by a reclaim that was killed"

    @property
    def is_orphan(self) -> bool:
        return self in (Why.DELETED, Why.MOVED)


class Way(NamedTuple):
    """A name to unload through. `blob` is the weights' digest; with `is_temporary` the name is made on them first.

    Where it is not certain that the runner is on the same weights, the unload shows it, and harms no other.
    """

    name: ModelName
    blob: str = ""
    is_temporary: bool = False
    is_certain: bool = True


class Entry(NamedTuple):
    """A runner to be freed. Without ways it cannot be; `kept_for` is a model that is declared resident and uses it."""

    model: RunningModel
    is_pinned: bool
    why: Why
    ways: tuple[Way, ...]
    kept_for: ModelName | None = None

    @property
    def can_be_freed(self) -> bool:
        return bool(self.ways) and self.kept_for is None


class Facts(NamedTuple):
    """What a server said, and what this machine shows of it.

    `blobs` are the weights of the names that matter: of all that run under their own name, and of those that an orphan
    may share weights with. `runner_blobs` are those of the runner processes, None where they cannot be seen; `on_disk`
    are those of them that the server still has as files. `abandoned` are runners of an earlier server at this address.
    """

    installed: Mapping[ModelName, InstalledModel]
    running: Running
    blobs: Mapping[ModelName, str] = {}
    runner_blobs: frozenset[str] | None = None
    on_disk: frozenset[str] = frozenset()
    abandoned: tuple[Abandoned, ...] = ()


class Intent(NamedTuple):
    """What declarations say about this server. A name is in as many as may be true of it."""

    resident: Collection[ModelName] = ()
    absent: Collection[ModelName] = ()  # certainly, and by every declaration of that name
    declared: Collection[ModelName] | None = None  # None: what is not declared is not asked about


class Plan(NamedTuple):
    """What is to be freed, what else is in memory, and temporary names that a killed run left on disk.

    `sees_weights`: the processes show which weights are in memory, so what no way leads to is lost. `abandoned` are
    runner processes whose server was killed; those of other users are told, and left.
    """

    entries: tuple[Entry, ...]
    others: tuple[RunningModel, ...]
    leftovers: tuple[ModelName, ...]
    sees_weights: bool = True
    abandoned: tuple[Abandoned, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.entries and not self.abandoned

    @property
    def lost(self) -> tuple[Entry, ...]:
        """What only a restart of the server frees."""
        return tuple(entry for entry in self.entries if not entry.ways and entry.kept_for is None)


def orphans(installed: Mapping[ModelName, InstalledModel], running: Running) -> list[RunningModel]:
    return [model for model in running.models if not is_current(model, installed)]


def lookalikes(model: RunningModel, installed: Mapping[ModelName, InstalledModel]) -> list[ModelName]:
    """The names that may be on a runner's weights: by family, number of parameters and quantization."""
    form = (model.family, model.parameter_size, model.quantization_level)
    return [
        name
        for name, other in installed.items()
        if (other.family, other.parameter_size, other.quantization_level) == form
        and not name.names_a_source
        and not runs_elsewhere(other)
    ]


def plan(facts: Facts, intent: Intent) -> Plan:
    """What of a server's memory is to be freed, and how."""
    every = [(model, _why(model, facts, intent)) for model in facts.running.models]
    entries = tuple(_entry(model, why, facts, intent) for model, why in every if why is not None)
    in_memory = {model.name for model in facts.running.models}
    leftovers = tuple(name for name in facts.installed if is_leftover(name) and name not in in_memory)
    others = tuple(model for model, why in every if why is None)
    return Plan(entries, others, leftovers, facts.runner_blobs is not None, facts.abandoned)


def is_leftover(name: ModelName) -> bool:
    return _LEFTOVER.fullmatch(name.tag) is not None


def _why(model: RunningModel, facts: Facts, intent: Intent) -> Why | None:
    if model.name not in facts.installed:
        return Why.DELETED
    if not is_current(model, facts.installed):
        return Why.MOVED
    if is_leftover(model.name):
        return Why.LEFTOVER
    if model.name in intent.absent:
        return Why.NOT_WANTED
    if intent.declared is not None and model.name not in intent.declared:
        return Why.UNDECLARED
    return None


def _entry(model: RunningModel, why: Why, facts: Facts, intent: Intent) -> Entry:
    is_pinned = facts.running.is_pinned(model)
    if not why.is_orphan:
        return Entry(model, is_pinned, why, (Way(model.name),))
    ways, users = [], []
    for way in _ways(model, facts):
        wanting = [name for name in _sharing(way, facts) if name in intent.resident]
        if not wanting or way.is_certain:
            ways.append(way)
        users += wanting
    is_kept = bool(users) and all(way.is_certain for way in ways)
    return Entry(model, is_pinned, why, tuple(ways), users[0] if is_kept else None)


def _ways(model: RunningModel, facts: Facts) -> Iterator[Way]:
    # By a name with the tag `local` or `cloud` a newer Ollama reaches another model.
    same = [name for name, other in facts.installed.items() if other.digest == model.digest and not name.names_a_source]
    if same:
        yield from (Way(name, facts.blobs.get(name, "")) for name in _best_first(same))
        return
    current = [one for one in facts.running.models if is_current(one, facts.installed)]
    taken = {facts.blobs[one.name] for one in current}
    free = None if facts.runner_blobs is None else facts.runner_blobs - taken
    is_certain = free is not None and len(free) == 1
    reached: set[str] = set()
    for name in _best_first(lookalikes(model, facts.installed)):
        blob = facts.blobs.get(name, "")
        if blob and blob not in taken | reached and (free is None or blob in free):
            reached.add(blob)
            yield Way(name, blob, is_certain=is_certain)
    for blob in sorted((free or frozenset()) & facts.on_disk - set(facts.blobs.values())):
        yield Way(model.name.beside(PURPOSE), blob, is_temporary=True, is_certain=is_certain)


def _best_first(names: Iterable[ModelName]) -> list[ModelName]:
    return sorted(names, key=lambda name: (not is_leftover(name), str(name)))


def _sharing(way: Way, facts: Facts) -> list[ModelName]:
    """Every name whose calls a runner on a way's weights would serve."""
    if way.is_temporary:
        return []
    return [
        name for name in facts.installed if name == way.name or (way.blob and facts.blobs.get(name, "") == way.blob)
    ]


def intent_of(models: Sequence[Declared], url: str, *, with_undeclared: bool) -> Intent:
    """What the declarations say about a server. One whose host is not known may mean it, and so protects a model."""
    may = [model for model in models if not isinstance(model.host, str) or model.host == url]
    by_name: dict[ModelName, list[Declared]] = {}
    for model in may:
        by_name.setdefault(model.model_name, []).append(model)
    absent = {name for name, every in by_name.items() if all(map(_is_certainly_absent, every))}
    resident = {name for name, every in by_name.items() if any(map(_may_be_resident, every))}
    return Intent(resident, absent, set(by_name) if with_undeclared else None)


def _is_certainly_absent(model: Declared) -> bool:
    return model.is_decided and model.must_be_absent and (model.host is None or isinstance(model.host, str))


def _may_be_resident(model: Declared) -> bool:
    return model.must_be_resident or not model.is_decided
