"""What is to be freed, and what became of it, as text and as JSON."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ollama_policy.commands.reclaim.freeing import Freed
from ollama_policy.formats.writing import many
from ollama_policy.live import fix_commands
from ollama_policy.live.orphans import Runner
from ollama_policy.live.reclaimable import Entry, Plan, Why
from ollama_policy.live.runners.abandoned import Abandoned
from ollama_policy.text.escaping import shown
from ollama_policy.text.json_schema import BYTES, COUNT, FLAG, TEXT, TIME, Schema, document, listed, or_null, record
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.sizes import text_of

VERSION = 1


class Processes(NamedTuple):
    """The runner processes before and after; `unseen` says why there are none."""

    unseen: str
    before: Sequence[Runner]
    after: Sequence[Runner]

    @property
    def ended(self) -> list[Runner]:
        left = {runner.pid for runner in self.after}
        return [runner for runner in self.before if runner.pid not in left]


class Ended(NamedTuple):
    """What became of an abandoned runner: empty `left` is success, else why it is still there."""

    abandoned: Abandoned
    left: str


class Done(NamedTuple):
    """What was done: an outcome for each entry that could be freed, and for each abandoned runner."""

    freed: Sequence[Freed]
    processes: Processes
    ended: Sequence[Ended] = ()

    def has_freed_all(self, plan: Plan) -> bool:
        is_left = any(one.left for one in self.freed) or any(one.left for one in self.ended)
        return len(self.freed) == len(plan.entries) and not is_left


def planned(url: str, plan: Plan, running: Running) -> str:
    """The plan, as text."""
    if not plan.entries:
        nothing = "nothing" if plan.is_empty else "no model of its own"
        lines = [f"{url}: {nothing} to free, {many(len(plan.others), 'model')} in memory"]
        return "\n".join(map(shown, lines + _abandoned(plan) + _leftovers(plan))) + "\n"
    total = text_of(sum(entry.model.size for entry in plan.entries))
    lines = [f"{url}: {len(plan.entries)} of {many(len(running.models), 'model')} in memory to free, {total}", ""]
    for entry in plan.entries:
        model = entry.model
        lines.append(f"  {model.name}  {model.digest[:12]}  {text_of(model.size)}  {_until(entry, running)}")
        lines.append(f"    {entry.why}")
        lines.extend(f"    {line}" for line in _how(entry, url, plan.sees_weights))
    lines += _abandoned(plan) + _restart(plan, running) + _leftovers(plan)
    return "\n".join(map(shown, [*lines, ""])) + "\n"


def done(plan: Plan, after: Done) -> str:
    """What became of it, as text."""
    there = [one for one in after.freed if not one.left]
    lines = [f"{one.entry.model.name}: {one.left}" for one in after.freed if one.left]
    freed = text_of(sum(one.entry.model.size for one in there))
    lines += _ended(after.ended)
    if not plan.entries:
        if plan.leftovers:
            lines.append(f"{many(len(plan.leftovers), 'temporary name')} removed")
        return "".join(f"{shown(line)}\n" for line in lines)
    lines.append(f"freed {len(there)} of {len(plan.entries)}, {freed} by Ollama's count: /api/ps shows them no more")
    lines.append(_proof(after.processes, bool(there)))
    return "\n".join(map(shown, filter(None, lines))) + "\n"


def as_json(url: str, plan: Plan, running: Running, after: Done | None) -> str:
    """Plan and outcome as one object. `freed` is null where nothing was done."""
    left = {} if after is None else {id(one.entry): one.left for one in after.freed}
    report: dict[str, Any] = {
        "version": VERSION,
        "server": url,
        "entries": [_entry(entry, left.get(id(entry)), after is not None) for entry in plan.entries],
        "bytes": sum(entry.model.size for entry in plan.entries),
        "leftovers": [str(name) for name in plan.leftovers],
        "restart": _restart_cost(plan, running) if plan.lost else None,
        "abandoned": [_abandoned_object(one, after) for one in plan.abandoned],
        "processes": None,
    }
    if after is not None:
        processes = after.processes
        report["processes"] = {
            "unseen": processes.unseen or None,
            "ended": [runner._asdict() for runner in processes.ended],
            "left": [runner._asdict() for runner in processes.after],
        }
    return json.dumps(report, indent=2) + "\n"


def schema() -> Schema:
    """The JSON Schema of `reclaim --format json`."""
    freed = or_null(FLAG, "Null where nothing was done.")
    way = record({"name": TEXT, "blob": TEXT, "is_temporary": FLAG, "is_certain": FLAG})
    entry = {"name": TEXT, "digest": TEXT, "bytes": BYTES, "vram_bytes": BYTES, "context_length": COUNT, "pinned": FLAG}
    entry |= {"expires_at": TIME, "why": {"enum": [_word(why) for why in Why]}, "ways": listed(way)}
    entry |= {"kept_for": or_null(TEXT), "freed": freed, "left": or_null(TEXT)}
    lost = record({"name": TEXT, "bytes": BYTES, "pinned": FLAG})
    abandoned = {"pid": COUNT, "blob": TEXT, "path": TEXT, "resident": BYTES, "user": TEXT, "is_own": FLAG}
    abandoned |= {"freed": freed, "left": or_null(TEXT)}
    runners = listed(record({"pid": COUNT, "blob": TEXT, "resident": BYTES}))
    processes = record({"unseen": or_null(TEXT), "ended": runners, "left": runners})
    return document(
        "The plan and the outcome of `ollama-policy reclaim --format json`",
        VERSION,
        {
            "server": TEXT,
            "entries": listed(record(entry)),
            "bytes": BYTES,
            "leftovers": listed(TEXT),
            "restart": or_null(record({"models": listed(lost), "bytes": BYTES}), "What a restart would cost."),
            "abandoned": listed(record(abandoned)),
            "processes": or_null(processes, "Null where nothing was done."),
        },
    )


def _abandoned_object(one: Abandoned, after: Done | None) -> dict[str, Any]:
    left = {ended.abandoned.pid: ended.left for ended in after.ended} if after is not None else {}
    known = {key: value for key, value in one._asdict().items() if key != "created"}
    return known | {"freed": left[one.pid] == "" if one.pid in left else None, "left": left.get(one.pid) or None}


def _word(why: Why) -> str:
    return why.name.lower().replace("_", "-")


def _entry(entry: Entry, left: str | None, is_done: bool) -> dict[str, Any]:
    return {
        "name": str(entry.model.name),
        "digest": entry.model.digest,
        "bytes": entry.model.size,
        "vram_bytes": entry.model.size_vram,
        "context_length": entry.model.context_length,
        "pinned": entry.is_pinned,
        "expires_at": entry.model.expires_at.isoformat(),
        "why": _word(entry.why),
        "ways": [way._asdict() | {"name": str(way.name)} for way in entry.ways],
        "kept_for": str(entry.kept_for) if entry.kept_for else None,
        "freed": left == "" if is_done else None,
        "left": left or None,
    }


def _until(entry: Entry, running: Running) -> str:
    if entry.is_pinned:
        return "pinned"
    return f"until {entry.model.expires_at:%Y-%m-%d %H:%M:%S %Z}"


def _how(entry: Entry, url: str, sees_weights: bool) -> list[str]:
    name = entry.model.name
    if entry.kept_for:
        return [f"left: {entry.kept_for} is declared resident and uses it; the next apply takes it over"]
    if not entry.ways:
        by_itself = "" if entry.is_pinned else "; its timer ends it"
        again = f"or, where its registry still has them: {fix_commands.pull_and_stop(url, name)}"
        hint = [again] if entry.why is Why.DELETED else []
        where = "" if sees_weights else ", or, where the file is still there, a reclaim on its own machine"
        return [f"its weights are under no name of the server: only a restart frees it{where}{by_itself}", *hint]
    first = entry.ways[0]
    if not entry.why.is_orphan:
        return ["by an unload"]
    words = f"through {first.name}, on the same weights"
    if first.is_temporary:
        words = f"through a temporary name on the weights {first.blob[:19]}, whose file goes with that name"
    if first.is_certain:
        return [words]
    others = f" (of {len(entry.ways)})" if len(entry.ways) > 1 else ""
    return [f"tried {words}{others}, as far as can be told: an unload shows it, and harms no other runner"]


def _restart_cost(plan: Plan, running: Running) -> dict[str, Any]:
    kept = _kept(plan)
    models = [
        {"name": str(model.name), "bytes": model.size, "pinned": running.is_pinned(model)} for model in _kept(plan)
    ]
    return {"models": models, "bytes": sum(model.size for model in kept)}


def _kept(plan: Plan) -> list[RunningModel]:
    """What would have to be loaded again after a restart."""
    return [*plan.others, *(entry.model for entry in plan.entries if entry.kept_for)]


def _restart(plan: Plan, running: Running) -> list[str]:
    if not plan.lost:
        return []
    kept = _kept(plan)
    pins = [str(model.name) for model in kept if running.is_pinned(model)]
    again = f"{many(len(kept), 'model')} to load again, {text_of(sum(model.size for model in kept))}"
    lines = ["", f"  A restart of Ollama would end every runner: {again}."]
    if pins:
        lines.append(f"  It loses the pins of {', '.join(pins)}: apply their declarations after it.")
    return lines


def _leftovers(plan: Plan) -> list[str]:
    return [f"  {name}: a temporary name that a killed run has left, to be removed" for name in plan.leftovers]


def _abandoned(plan: Plan) -> list[str]:
    lines = []
    for one in plan.abandoned:
        lines.append(f"  process {one.pid}  {one.blob[:19]}  {text_of(one.resident)} resident")
        lines.append("    abandoned: its server was killed, but it still runs, and no server's /api/ps shows it")
        by_whom = "by ending the process" if one.is_own else f"left: it is of {one.user}, who alone can end it"
        lines.append(f"    {by_whom}")
    return ["", *lines] if lines else []


def _ended(ended: Sequence[Ended]) -> list[str]:
    lines = [f"process {one.abandoned.pid}: {one.left}" for one in ended if one.left]
    gone = [one.abandoned for one in ended if not one.left]
    if gone:
        pids, resident = ", ".join(str(one.pid) for one in gone), text_of(sum(one.resident for one in gone))
        lines.append(f"{many(len(gone), 'abandoned runner')} ended ({pids}): {resident} resident")
    return lines


def _proof(processes: Processes, is_freed: bool) -> str:
    if processes.unseen:
        return f"the processes' memory cannot be seen: {processes.unseen}"
    if not processes.ended:
        return "no runner process has ended" if is_freed else ""
    ended = processes.ended
    pids = ", ".join(str(runner.pid) for runner in ended)
    return (
        f"{many(len(ended), 'runner process')} ended ({pids}): {text_of(sum(one.resident for one in ended))} resident"
    )
