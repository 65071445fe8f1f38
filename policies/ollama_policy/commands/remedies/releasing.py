"""Remedies that release what is held: orphans, what nobody declared, pins, and manual management."""

from collections.abc import Iterable, Iterator
from typing import Final

from ollama_policy.commands.remedies.facts import Declarations, Edit, Server
from ollama_policy.commands.remedies.remedy import HELD, HELD_BY_PROCESS, SERVER, Document, Gain, Kind, Remedy
from ollama_policy.live import fix_commands
from ollama_policy.live.declared import Declared
from ollama_policy.live.reclaimable import Entry
from ollama_policy.model.declarations import AUTOMATIC, mode_of
from ollama_policy.rules.automatic_without_bound import BOUND
from ollama_provider.apply.drift import HELD_TOO_LONG, PINNED_BY_CLIENT, drift_of
from ollama_provider.ollama.answers import RunningModel

_NEVER_RELEASES: Final = ("OLL109",)
_RELOADED: Final = "the next call loads it again"
_UNDER_WAY: Final = "a call in progress holds it until the call ends, and a client's own keep_alive pins it again"


def releasing(server: Server, declared: Declarations) -> Iterator[Remedy]:
    """Every remedy of this kind that this server, or these declarations, call for."""
    for entry in server.orphans:
        yield _orphan(server, entry)
    for model in server.reached:
        yield from _held(server, declared, model)
    yield from _server_default(server, declared)
    yield from _manual(server, declared)


def _orphan(server: Server, entry: Entry) -> Remedy:
    is_kept = entry.kept_for is not None
    if is_kept:
        why = f"{entry.why.value}; {entry.kept_for} is declared resident and is served by it"
    else:
        why = entry.why.value + ("" if entry.ways else "; no name on this server is seen to have its weights")
    return Remedy(
        Kind.ORPHAN,
        "reclaim an orphan",
        f"{entry.model.name} {entry.model.digest[:12]}",
        Gain(entry.model.size, HELD),
        Document.LESS,
        not is_kept,
        why,
        "none: no call can reach it by its name",
        "where no name has its weights and they are gone from disk, only a restart of the server frees it"
        if not entry.ways
        else "the next call of a model with the same weights loads that model again",
        (fix_commands.reclaim(server.url),),
    )


def _held(server: Server, declared: Declarations, model: RunningModel) -> Iterator[Remedy]:
    ours = declared.of(model.name)
    is_pinned = server.running.is_pinned(model)
    if not ours:
        if declared.is_complete and model.name not in declared.others:
            yield _unload(server, model, Kind.UNDECLARED, "unload what is not declared", "declared nowhere", is_pinned)
        elif is_pinned and not declared.models and model.name not in declared.others:
            # Without declarations nobody knows whether it is meant.
            yield _bounded(server, model, BOUND, "pinned, and no file that was given declares it", False, ())
        return
    if not all(one.is_decided for one in ours):
        return
    if all(one.must_be_absent for one in ours):
        yield _unload(
            server, model, Kind.ABSENT, "unload it, as it is declared", "declared resident = false", True, ours
        )
    elif all(_is_automatic(one) for one in ours):
        yield from _automatic(server, declared, model, ours)


def _automatic(
    server: Server, declared: Declarations, model: RunningModel, ours: Iterable[Declared]
) -> Iterator[Remedy]:
    for one in ours:
        drift = drift_of(one, model.digest, server.running)
        if drift in (PINNED_BY_CLIENT, HELD_TOO_LONG):
            yield _bounded(server, model, one.keep_alive or BOUND, drift, True, (), one)
            return
        if one.keep_alive is None and server.running.is_pinned(model):
            edits = _edits(declared, ("OLL001",), one.subject.address, bounding=True)
            why = "pinned by a client, and its declaration has no keep_alive that would remove the pin"
            yield _bounded(server, model, BOUND, why, True, edits)
            return


def _held_by(server: Server, model: RunningModel) -> Gain:
    """What an unload gives back: as the runner's process shows it, else as /api/ps counts it."""
    grown = server.grown.get(model.name)
    return Gain(model.size, HELD) if grown is None else Gain(grown.held, HELD_BY_PROCESS)


def _unload(
    server: Server,
    model: RunningModel,
    kind: Kind,
    title: str,
    why: str,
    is_recommended: bool,
    ours: Iterable[Declared] = (),
) -> Remedy:
    why += ", and pinned" if server.running.is_pinned(model) else ", and released when its timer runs down"
    stop = fix_commands.stop(server.url, model.name)
    commands = tuple(fix_commands.apply(one, stop) for one in ours) or (stop,)
    risk = _UNDER_WAY if kind is Kind.ABSENT else f"somebody may use it without declaring it; {_UNDER_WAY}"
    row = Document.MANUAL if kind is Kind.ABSENT else Document.LESS
    return Remedy(
        kind, title, str(model.name), _held_by(server, model), row, is_recommended, why, _RELOADED, risk, commands
    )


def _bounded(
    server: Server,
    model: RunningModel,
    keep_alive: str,
    why: str,
    is_recommended: bool,
    edits: tuple[Edit, ...],
    one: Declared | None = None,
) -> Remedy:
    details = server.details.get(model.name)
    embeds = details is not None and details.only_embeds
    hold = (fix_commands.hold_embedding if embeds else fix_commands.hold)(server.url, model.name, keep_alive)
    gain = _held_by(server, model)
    return Remedy(
        Kind.KEEP_ALIVE,
        f"bound keep_alive to {keep_alive}",
        str(model.name),
        Gain(gain.bytes, f"{gain.how}; {keep_alive} after its last call"),
        Document.LESS,
        is_recommended,
        why,
        f"a call after {keep_alive} without calls loads it again",
        "a client that sends keep_alive -1 pins it again: Ollama has no limit for that"
        + ("" if is_recommended else "; the pin may be meant: declare it, then"),
        (hold if one is None else fix_commands.apply(one, hold),),
        edits,
    )


def _server_default(server: Server, declared: Declarations) -> Iterator[Remedy]:
    edits = _edits(declared, _NEVER_RELEASES)
    unbound = _edits(declared, ("OLL001",), bounding=True)
    if edits:
        pinned = sum(
            model.size
            for model in server.reached
            if server.running.is_pinned(model) and not any(one.must_be_resident for one in declared.of(model.name))
        )
        yield Remedy(
            Kind.KEEP_ALIVE,
            "bound the server's OLLAMA_KEEP_ALIVE",
            SERVER,
            Gain(pinned, f"{HELD}, over what is pinned and not declared resident", is_at_most=True),
            Document.LESS,
            True,
            "the server's own default holds models for longer than is needed",
            "a call after that time loads its model again",
            "what was loaded before keeps its timer; a client's own keep_alive overrides the default",
            ("restart the server with it",),
            edits,
        )
    in_memory = {str(model.name) for model in server.reached if server.running.is_pinned(model)}
    names = {one.subject.address: str(one.model_name) for one in declared.models}
    for edit in unbound:
        name = names.get(edit.address)
        if name is not None and name not in in_memory:
            yield Remedy(
                Kind.KEEP_ALIVE,
                f"bound keep_alive to {BOUND}",
                name,
                Gain(0, "it is not pinned now; it prevents a pin that stays"),
                Document.LESS,
                False,
                "its declaration has no keep_alive",
                f"a call after {BOUND} without calls loads it again",
                "a client can still pin it between two applies",
                (),
                (edit,),
            )


def _manual(server: Server, declared: Declarations) -> Iterator[Remedy]:
    """The story's first, where anything is not manual yet: what is declared, or without declarations what is held.

    It can give back what of that is in memory.
    """
    loose = [
        model
        for model in server.reached
        if ((ours := declared.of(model.name)) and all(map(_is_automatic, ours))) or not declared.models
    ]
    edits = _edits(declared, ("OLL001",), bounding=False)
    if not loose and all(one.must_be_resident or one.must_be_absent for one in declared.models):
        return
    yield Remedy(
        Kind.MANUAL,
        'switch to memory_management = "manual"',
        SERVER,
        Gain(
            sum(model.size for model in loose),
            f"{HELD}, of the models that are not declared so yet, once they are declared resident = false; "
            'without it "manual" pins, and gives nothing back',
            is_at_most=True,
        ),
        Document.MANUAL,
        bool(edits),
        "the declaration then decides the release, and an apply corrects differences",
        "models that should not be in memory must be declared so, and an apply loads or releases them",
        "a model that is declared resident keeps its memory forever, and a pin alone releases nothing",
        ('memory_management = "manual" and resident = false in its declaration, then apply it',),
        edits,
    )


def _is_automatic(one: Declared) -> bool:
    return bool(mode_of(one.subject) == AUTOMATIC)


def _edits(
    declared: Declarations, rules: Iterable[str], address: str | None = None, *, bounding: bool | None = None
) -> tuple[Edit, ...]:
    """The fixes of some rules; of OLL001 either those that bound keep_alive or the others."""
    wanted = set(rules)
    return tuple(
        one
        for one in declared.edits
        if one.rule in wanted
        and address in (None, one.address)
        and (bounding is None or bounding == ("keep_alive" in one.title))
    )
