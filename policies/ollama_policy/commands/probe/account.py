"""What a probe comes to: m and r of each call, M, what the unload gave back, and whether the rest is a leak."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ollama_policy.commands.probe import leak
from ollama_policy.commands.probe.growth import Cause, Growth, of_prompts, of_turns
from ollama_policy.commands.probe.leak import Kind, Verdict
from ollama_policy.commands.probe.probing import CONVERSATION, DIFFERENT, PHASES_OF_CALLS, REPEATED, Called, Sample
from ollama_policy.live.runners.processes import OWN_PAGES, RESIDENT
from ollama_policy.live.runners.runner import Engine
from ollama_policy.text.json_schema import COUNT, FLAG, INTEGER, NUMBER, TEXT, Schema, document, listed, or_null, record

VERSION = 2
PHASES = ("before", "load", *PHASES_OF_CALLS, "idle", "expiry", "reload", "unload")
MOMENTS = ("before", "after", "settled")


class Call(NamedTuple):
    """One round of calls: bytes allocated (m) and given back (r); `held` is what is left once it has settled.

    Both are at least 0: what went during the calls is given back, what came after them allocated.
    """

    number: int
    phase: str
    allocated: int
    released: int
    held: int


class Lost(NamedTuple):
    """A runner whose server is gone, the path of its weights, and its resident bytes."""

    pid: int
    model: str
    held: int


class Sight(NamedTuple):
    """How the processes were looked at: `unseen` says why they were not, and is empty where they were."""

    counts: str = OWN_PAGES
    unseen: str = ""
    lost: tuple[Lost, ...] = ()


@dataclass(frozen=True)
class Account:
    """All figures are bytes. `leak` and `kind` are None where no process was seen: Ollama's estimate never moves.

    `leak` is of the calls with one prompt, `growth` of those with prompts that differ, one of each cause. `doubt` says
    why nothing is decided, where it is not.
    """

    model: str
    server: str
    called: Called
    sight: Sight
    samples: tuple[Sample, ...]
    calls: tuple[Call, ...]
    kind: Kind | None
    leak: Verdict | None
    growth: tuple[Growth, ...]
    doubt: str

    @property
    def total(self) -> int:
        """M, the sum of m - r over all calls."""
        return sum(call.allocated - call.released for call in self.calls)

    @property
    def unseen(self) -> str:
        return self.sight.unseen

    def of_phase(self, phase: str) -> Sample | None:
        """The settled sample that ends a phase."""
        return next((s for s in reversed(self.samples) if s.phase == phase and s.moment == "settled"), None)

    @property
    def is_replaced(self) -> bool:
        """Whether another runner took the place of the model's between calls."""
        return _is_replaced(self.samples)

    def slope_of(self, part: str) -> float:
        """Bytes a call that `server` or `runners` added over the calls with one prompt, after their warm-up."""
        assert self.leak is not None
        held = [getattr(one, part) for one in self.samples if one.phase == REPEATED and one.moment != "after"]
        settled = [held[0], *held[1::2]][self.leak.warm_up_calls :]
        return leak.slope(settled) if len(settled) > 1 else 0.0

    def as_json(self) -> str:
        runner = self.called.runner
        body: dict[str, Any] = {
            "version": VERSION,
            "model": self.model,
            "server": self.server,
            "ollama": self.called.version,
            "runner": None if runner is None else runner.as_body,
            "unseen": self.sight.unseen,
            "counts": self.sight.counts,
            "lost": [one._asdict() for one in self.sight.lost],
            "M": self.total,
            "kind": self.kind,
            "doubt": self.doubt,
            "leak": None if self.leak is None else self.leak._asdict(),
            "growth": [one._asdict() for one in self.growth],
            "calls": [call._asdict() for call in self.calls],
            "num_ctx": self.called.num_ctx,
            "called": self.called.by_name,
            "left": self.called.left,
            "samples": [sample._asdict() for sample in self.samples],
        }
        return json.dumps(body, indent=2) + "\n"


def schema() -> Schema:
    """The JSON Schema of `probe --format json`. Sizes are bytes, times seconds."""
    kinds = {"enum": [kind.value for kind in Kind]}
    verdict = {"kind": kinds, "slope": NUMBER, "low": NUMBER, "high": NUMBER}
    verdict |= {"warm_up_calls": COUNT, "warm_up_bytes": INTEGER}
    grown = {"cause": {"enum": [cause.value for cause in Cause]}, "grown": INTEGER, "calls": COUNT, "a_call": INTEGER}
    grown |= {"has_stopped": FLAG, "bound": or_null(COUNT, "Null where it is not known."), "bounded_by": TEXT}
    runner = {"pid": COUNT, "engine": {"enum": [engine.value for engine in Engine]}, "model": TEXT}
    runner |= {"context": or_null(COUNT), "slots": COUNT}
    environment = {"type": "object", "additionalProperties": TEXT}
    runner |= {"environment": or_null(environment, "What its memory depends on; null where it is not shown.")}
    unseen = {"type": "string", "description": "Why the server's processes cannot be seen; empty where they can."}
    sample = {"seconds": NUMBER, "phase": {"enum": list(PHASES)}, "call": COUNT, "moment": {"enum": list(MOMENTS)}}
    sample |= {"server": or_null(COUNT), "runners": or_null(COUNT), "ps_size": COUNT, "ps_size_vram": COUNT}
    sample |= {"pid": or_null(COUNT, "The runner's."), "tokens": COUNT}
    call = {"number": COUNT, "phase": TEXT, "allocated": INTEGER, "released": INTEGER, "held": COUNT}
    lost = record({"pid": COUNT, "model": TEXT, "held": COUNT})
    return document(
        "What `ollama-policy probe --format json` measured, and `report --from` draws",
        VERSION,
        {
            "model": TEXT,
            "server": TEXT,
            "ollama": TEXT | {"description": "The server's version."},
            "runner": or_null(record(runner), "The model's own process; null where it was not seen."),
            "unseen": unseen,
            "counts": {"enum": [OWN_PAGES, RESIDENT], "description": "Which memory of a process is counted."},
            "lost": listed(lost) | {"description": "Runners on this machine whose server is gone."},
            "M": INTEGER | {"description": "The sum of what each call allocated less what came back."},
            "kind": or_null(kinds, "Null where processes cannot be seen, or no call was made."),
            "doubt": TEXT | {"description": "Why nothing is decided; empty where it is."},
            "leak": or_null(record(verdict), "The slope of the calls with one prompt."),
            "growth": listed(record(grown)) | {"description": "What the calls with prompts that differ added."},
            "calls": listed(record(call)),
            "samples": listed(record(sample)),
        },
        {
            "num_ctx": or_null(COUNT, "What each call asked for, of a model that was in memory; null where nothing."),
            "called": or_null(TEXT, "The name that was called, where another than the model's has its runner."),
            "left": TEXT | {"description": "Why a runner that was loaded for this is left in memory; mostly empty."},
        },
    )


def account(model: str, server: str, called: Called, sight: Sight, samples: Sequence[Sample]) -> Account:
    """Judges what was measured."""
    calls = tuple(_calls(samples))
    if not calls:
        return Account(model, server, called, sight, tuple(samples), calls, None, None, (), "")
    repeated = _settled(samples, REPEATED, "held")
    leaked = leak.judge(repeated)
    grown = _growth(samples, called, leaked)
    kind, doubt = _kind(samples, leaked, grown)
    return Account(model, server, called, sight, tuple(samples), calls, kind, leaked, grown, doubt)


def _growth(samples: Sequence[Sample], called: Called, leaked: Verdict) -> tuple[Growth, ...]:
    leaks = leaked.slope if leaked.kind is Kind.LEAK else 0.0
    held = _settled(samples, DIFFERENT, "runners")
    calls = [one for one in samples if one.phase == DIFFERENT]
    tokens = (calls[-1].tokens - calls[0].tokens) / (len(held) - 1) if len(held) > 1 else 0.0
    found = [of_prompts(held, leaks, called.runner, tokens)]
    if called.runner is not None:
        found.append(of_turns(_settled(samples, CONVERSATION, "runners"), leaks, called.runner))
    return tuple(one for one in found if one is not None)


def _kind(samples: Sequence[Sample], leaked: Verdict, grown: Sequence[Growth]) -> tuple[Kind, str]:
    if _is_replaced(samples):
        return Kind.UNDECIDED, "the runner was replaced between calls: another client's options, or an eviction"
    if leaked.kind is Kind.LEAK:
        return Kind.LEAK, ""
    if any(one.cause is Cause.UNKNOWN for one in grown):
        return Kind.UNDECIDED, "it grows by the same with each different prompt, and no cache of its runner explains it"
    if leaked.kind is Kind.UNDECIDED:
        return (
            Kind.UNDECIDED,
            f"at least {leak.LEAST_CALLS} rounds of calls with one prompt are needed to show a leak" + _enough(samples),
        )
    return (Kind.BOUNDED if grown else leaked.kind), ""


def _enough(samples: Sequence[Sample]) -> str:
    """How many calls decide; of prompts that all differ, no number does."""
    of_round = next(one.call for one in samples if one.is_call and one.moment == "settled")
    is_varied = all(one.phase != REPEATED for one in samples)
    return ", and --vary makes none" if is_varied else f": --calls {2 * leak.LEAST_CALLS * of_round}"


def _is_replaced(samples: Sequence[Sample]) -> bool:
    return len({one.pid for one in samples if one.is_call}) > 1


def _settled(samples: Sequence[Sample], phase: str, part: str) -> list[int]:
    """What was held before the first call of a phase, and after each: `calls + 1` figures."""
    of_phase = [one for one in samples if one.phase == phase and one.held is not None]
    return [getattr(one, part) for one in (*of_phase[:1], *(one for one in of_phase if one.moment == "settled"))]


def _calls(samples: Sequence[Sample]) -> list[Call]:
    made: list[Call] = []
    before = after = 0
    for sample in samples:
        if not sample.is_call or sample.held is None:
            continue
        if sample.moment == "before":
            before = sample.held
        elif sample.moment == "after":
            after = sample.held
        else:
            # What moves between two calls is counted to the earlier one: so the sum is what is really held.
            start = made[-1].held if made else before
            allocated = max(start, after, sample.held) - start
            made.append(Call(sample.call, sample.phase, allocated, start + allocated - sample.held, sample.held))
    return made
