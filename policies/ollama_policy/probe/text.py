"""A probe's account for people."""

from collections.abc import Iterator

from ollama_policy.probe.account import Account, Call
from ollama_policy.probe.leak import CONFIDENCE, LEAST_CALLS, MIB, Kind, Verdict

_ROWS = 12
MEANINGS = {
    Kind.STEADY: "steady: it does not grow with calls",
    Kind.BOUNDED: "no leak: it grows, and ever less, as a cache that fills",
    Kind.SLOW: "no leak that matters within these calls, though it still grows: --calls 500 tells more",
    Kind.LEAK: "a leak: every call adds the same, long after the warm-up",
    Kind.UNDECIDED: f"undecided: at least {LEAST_CALLS} calls are needed",
}


def render(account: Account) -> str:
    return "\n".join(_lines(account)) + "\n"


def _lines(account: Account) -> Iterator[str]:
    yield f"{account.model} on {account.server}"
    if account.unseen:
        yield f"the processes cannot be seen: {account.unseen}"
        yield "what Ollama's API says of memory is an estimate made at the load, and does not move with calls:"
        yield "so this says nothing of a leak. Run it on the server's own machine, as the server's user."
    else:
        yield from _table(account.calls)
        yield f"M = sum(m - r) = {signed(account.total)} over {account.calls[-1].number} calls"
        assert account.verdict is not None
        yield from _verdict(account.verdict)
    yield from _phases(account)


def _table(calls: tuple[Call, ...]) -> Iterator[str]:
    yield f"{'call':>6}  {'m, allocated':>13}  {'r, given back':>13}  {'resident':>11}"
    every = max(1, -(-len(calls) // _ROWS))
    for index, call in enumerate(calls):
        if index % every == 0 or call is calls[-1]:
            yield (f"{call.number:>6}  {signed(call.allocated):>13}  {signed(call.released):>13}  {mib(call.held):>11}")


def _verdict(verdict: Verdict) -> Iterator[str]:
    if verdict.kind is not Kind.UNDECIDED:
        yield f"warm-up: {signed(verdict.warm_up_bytes)} over the first {verdict.warm_up_calls} calls"
        yield (
            f"after it: {signed(round(verdict.slope))} a call, {CONFIDENCE:.0%} sure between "
            f"{signed(round(verdict.low))} and {signed(round(verdict.high))}"
        )
    yield f"{verdict.kind.value}: " + MEANINGS[verdict.kind].partition(": ")[2]


def _phases(account: Account) -> Iterator[str]:
    idle, before = account.of_phase("idle"), account.of_phase("before")
    for phase, words in (("expiry", "keep_alive expired"), ("unload", "unloaded")):
        sample = account.of_phase(phase)
        if sample is None:
            continue
        if sample.resident is None or idle is None or idle.resident is None or before is None:
            yield f"{words}: the model is out of /api/ps"
            continue
        assert before.resident is not None
        kept = sample.resident - before.resident
        yield f"{words}: {mib(idle.resident - sample.resident)} came back; {signed(kept)} over the start is kept"
    if account.of_phase("unload") is None:
        yield "the model was in memory before, and was left there: what an unload gives back was not tried"


def mib(count: int) -> str:
    return f"{count / MIB:.1f} MiB"


def signed(count: int) -> str:
    return f"{count / MIB:+.1f} MiB" if abs(count) >= MIB / 10 else f"{count / 1024:+.0f} KiB"
