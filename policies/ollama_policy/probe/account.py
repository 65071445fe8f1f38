"""What a probe comes to: m and r of each call, M, what the unload gave back, and whether the rest is a leak."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ollama_policy.json_schemas import COUNT, INTEGER, NUMBER, TEXT, Schema, document, listed, or_null, record
from ollama_policy.probe import leak
from ollama_policy.probe.probing import Sample

VERSION = 1


class Call(NamedTuple):
    """One round of calls: bytes allocated (m) and given back (r); `held` is what is resident once it has settled."""

    number: int
    allocated: int
    released: int
    held: int


@dataclass(frozen=True)
class Account:
    """All figures are bytes. `verdict` is None where no process was seen: Ollama's own estimate never moves."""

    model: str
    server: str
    samples: tuple[Sample, ...]
    calls: tuple[Call, ...]
    verdict: leak.Verdict | None
    unseen: str  # why processes could not be seen; empty where they were

    @property
    def total(self) -> int:
        """M, the sum of m - r over all calls."""
        return sum(call.allocated - call.released for call in self.calls)

    def of_phase(self, phase: str) -> Sample | None:
        """The settled sample that ends a phase."""
        return next((s for s in reversed(self.samples) if s.phase == phase and s.moment == "settled"), None)

    def as_json(self) -> str:
        body: dict[str, Any] = {
            "version": VERSION,
            "model": self.model,
            "server": self.server,
            "unseen": self.unseen,
            "M": self.total,
            "verdict": None if self.verdict is None else self.verdict._asdict(),
            "calls": [call._asdict() for call in self.calls],
            "samples": [sample._asdict() for sample in self.samples],
        }
        return json.dumps(body, indent=2) + "\n"


def schema() -> Schema:
    """The JSON Schema of `probe --format json`. Sizes are bytes, times seconds."""
    verdict = {"kind": {"enum": [kind.value for kind in leak.Kind]}, "slope": NUMBER, "low": NUMBER, "high": NUMBER}
    verdict |= {"warm_up_calls": COUNT, "warm_up_bytes": INTEGER}
    unseen = {"type": "string", "description": "Why the server's processes cannot be seen; empty where they can."}
    sample = {"seconds": NUMBER, "phase": TEXT, "call": COUNT, "moment": {"enum": ["before", "after", "settled"]}}
    sample |= {"server": or_null(COUNT), "runners": or_null(COUNT), "ps_size": COUNT, "ps_size_vram": COUNT}
    return document(
        "What `ollama-policy probe --format json` measured, and `report --from` draws",
        VERSION,
        {
            "model": TEXT,
            "server": TEXT,
            "unseen": unseen,
            "M": INTEGER | {"description": "The sum of what each call allocated less what came back."},
            "verdict": or_null(record(verdict), "Null where processes cannot be seen, or no call was made."),
            "calls": listed(record({"number": COUNT, "allocated": INTEGER, "released": INTEGER, "held": COUNT})),
            "samples": listed(record(sample)),
        },
    )


def account(model: str, server: str, samples: Sequence[Sample], unseen: str = "") -> Account:
    calls = tuple(_calls(samples))
    verdict = None
    if calls:
        before = next(sample for sample in samples if sample.phase == "calls")
        assert before.resident is not None
        verdict = leak.judge([before.resident, *(call.held for call in calls)])
    return Account(model, server, tuple(samples), calls, verdict, unseen)


def _calls(samples: Sequence[Sample]) -> "list[Call]":
    made: list[Call] = []
    before = after = 0
    for sample in samples:
        if sample.phase != "calls" or sample.resident is None:
            continue
        if sample.moment == "before":
            before = sample.resident
        elif sample.moment == "after":
            after = sample.resident
        else:
            # What moves between two calls is counted to the earlier one: so the sum is what is really held.
            start = made[-1].held if made else before
            made.append(Call(sample.call, after - start, after - sample.resident, sample.resident))
    return made
