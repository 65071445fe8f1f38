"""The comparison as the story's table, and as JSON."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ollama_policy.commands.bench.figures import CONFIDENCE, Figures, Gain
from ollama_policy.commands.bench.sides import Side
from ollama_policy.text.json_schema import BYTES, COUNT, FLAG, NUMBER, TEXT, Schema, document, or_null, record

VERSION = 1


class Comparison(NamedTuple):
    """Both sides, and the gain; None where a side answered nothing."""

    old: Side
    new: Side
    old_figures: Figures
    new_figures: Figures
    gain: Gain | None
    concurrency: int
    rounds: int


def as_json(found: Comparison) -> str:
    def side(one: Side, figures: Figures) -> dict[str, Any]:
        return {"name": one.name, "server": one.server, "model": str(one.model), **figures._asdict()}

    body = {
        "version": VERSION,
        "old": side(found.old, found.old_figures),
        "new": side(found.new, found.new_figures),
        "gain": None if found.gain is None else {**found.gain._asdict(), "is_shown": found.gain.is_shown},
        "confidence": CONFIDENCE,
        "concurrency": found.concurrency,
        "rounds": found.rounds,
    }
    return json.dumps(body, indent=2) + "\n"


def schema() -> Schema:
    """The JSON Schema of `bench --format json`. Times are seconds, memory is bytes."""
    times = dict.fromkeys(("qps", "p50", "p95", "p99", "first_token_p50"), NUMBER)
    side = record(
        {"name": TEXT, "server": TEXT, "model": TEXT} | times | {"errors": COUNT, "calls": COUNT, "memory": BYTES}
    )
    gain = record({"gain": NUMBER, "low": NUMBER, "high": NUMBER, "is_shown": FLAG})
    return document(
        "What `ollama-policy bench --format json` measured",
        VERSION,
        {
            "old": side,
            "new": side,
            "gain": or_null(
                gain, "(QPS_new - QPS_old) / QPS_old and its interval; null where a side answered nothing."
            ),
            "confidence": NUMBER,
            "concurrency": COUNT,
            "rounds": COUNT,
        },
    )


def as_text(found: Comparison) -> str:
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Comparison) -> Iterator[str]:
    yield f"{found.old.model}: {found.rounds} rounds for each side, in turn, {found.concurrency} at once"
    yield f"before: {found.old.name}"
    yield f"after:  {found.new.name}"
    for name, before, after in (("", "before", "after"), *rows(found)):
        yield f"{name:<18}{before:>12}{after:>12}"
    yield gain(found.gain)


def rows(found: Comparison) -> list[tuple[str, str, str]]:
    """What is compared, and both sides' figures."""
    old, new = found.old_figures, found.new_figures
    told = [
        ("QPS", f"{old.qps:.2f}", f"{new.qps:.2f}"),
        ("latency p50", _seconds(old.p50), _seconds(new.p50)),
        ("latency p95", _seconds(old.p95), _seconds(new.p95)),
        ("latency p99", _seconds(old.p99), _seconds(new.p99)),
        ("first token p50", _seconds(old.first_token_p50), _seconds(new.first_token_p50)),
        ("errors", f"{old.errors} of {old.calls}", f"{new.errors} of {new.calls}"),
    ]
    if old.memory or new.memory:
        told.append(("memory, by Ollama", f"{old.memory / 2**20:.0f} MiB", f"{new.memory / 2**20:.0f} MiB"))
    return told


def gain(made: Gain | None) -> str:
    """The story's formula with its interval; no difference, where that has 0 in it."""
    if made is None:
        return "no gain is known: one side answered nothing"
    interval = f"{CONFIDENCE:.0%} sure between {made.low:+.0%} and {made.high:+.0%}"
    if not made.is_shown:
        return f"no difference shown: (QPS_new - QPS_old) / QPS_old = {made.gain:+.0%}, {interval}"
    return f"gain = (QPS_new - QPS_old) / QPS_old = {made.gain:+.0%}, {interval}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"
