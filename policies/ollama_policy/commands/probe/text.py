"""A probe's account for people."""

from collections.abc import Iterator, Mapping

from ollama_policy.commands.probe.account import Account, Call
from ollama_policy.commands.probe.growth import Cause, Growth
from ollama_policy.commands.probe.leak import CONFIDENCE, Kind, Verdict
from ollama_policy.commands.probe.probing import REPEATED
from ollama_policy.live.runners.runner import CACHE_VARIABLE, CHECKPOINTS_VARIABLE
from ollama_policy.text.escaping import shown
from ollama_provider.ollama.sizes import MIB, text_of
from ollama_provider.ollama.versions import Behavior, version_in

_ROWS = 12
_VARIABLES = {
    Cause.PROMPT_CACHE: (CACHE_VARIABLE, "MiB, of each runner"),
    Cause.CHECKPOINTS: (CHECKPOINTS_VARIABLE, "of each slot"),
    Cause.PREFIX_CACHE: ("", ""),
}
MEANINGS = {
    Kind.STEADY: "steady: it does not grow with calls",
    Kind.BOUNDED: "bounded growth: it grows, but less and less",
    Kind.SLOW: "slow growth: no significant leak within these calls; --calls 500 shows more",
    Kind.LEAK: "a leak: every call with one prompt still adds the same",
    Kind.UNDECIDED: "undecided",
}


def render(account: Account) -> str:
    return "".join(f"{shown(line)}\n" for line in _lines(account))


def verdict(account: Account) -> str:
    """What was found, in one sentence without a full stop."""
    if account.kind is None:
        return f"whether it leaks is not known: {account.unseen or 'no process was seen'}"
    if account.kind is Kind.UNDECIDED:
        return f"undecided: {account.doubt}"
    said = MEANINGS[account.kind]
    caches = [one for one in account.growth if one.cause is not Cause.WARM_UP]
    if not caches:
        return said
    grows = " and ".join(f"the {one.cause} {_verb(one)}{_up_to(one)}" for one in caches)
    return f"bounded growth: {grows}" if account.kind is Kind.BOUNDED else f"{said}; and {grows}"


def _verb(growth: Growth) -> str:
    return "grow" if growth.cause is Cause.CHECKPOINTS else "grows"


def _lines(account: Account) -> Iterator[str]:
    yield f"{account.model} on {account.server}, Ollama {account.called.version or 'of an unknown version'}"
    if account.unseen:
        yield f"the processes cannot be seen: {account.unseen}"
        yield "Ollama's API reports an estimate from the load, which does not change with calls,"
        yield "so it cannot show a leak. Run the probe on the server's own machine, as the server's user."
        yield from _expected(account)
    else:
        runner = account.called.runner
        of = "no runner was seen" if runner is None else f"{runner.engine}, process {runner.pid}"
        yield f"{of}; counted: the {account.sight.counts} memory of it and of the server"
        if account.called.by_name:
            yield f"{account.called.by_name} has the same weights and their runner: it was called by that name"
        if account.called.num_ctx:
            yield num_ctx(account.called.num_ctx)
        yield from _table(account.calls)
        yield f"M = sum(m - r) = {signed(account.total)} over {account.calls[-1].number} calls; {_listed(account)}"
        for growth in account.growth:
            rounds = "rounds" if account.calls[0].number > 1 else "calls"
            yield from _growth(growth, rounds, {} if runner is None else runner.environment or {})
        if account.leak is not None and account.leak.kind is not Kind.UNDECIDED:
            yield from _leak(account, account.leak)
        yield ("warning: " if account.kind is Kind.BOUNDED else "") + verdict(account)
        if account.kind is Kind.LEAK:
            yield "  this is valid only if no other client called the model: other clients' prompts look the same"
    yield from _phases(account)
    for lost in account.sight.lost:
        yield f"beside it, process {lost.pid} holds {mib(lost.held)}: a runner whose server is gone ({lost.model})"
        yield "  no server knows it, and nothing unloads it: `ollama-policy reclaim` ends it"


def _expected(account: Account) -> Iterator[str]:
    if Behavior.PROMPT_CACHE.holds(version_in(account.called.version), if_unknown=False):
        yield f"Known of this version: {Behavior.PROMPT_CACHE.what}."


def _table(calls: tuple[Call, ...]) -> Iterator[str]:
    yield f"{'call':>6}  {'prompts':<12}  {'m, allocated':>13}  {'r, given back':>13}  {'held':>11}"
    every = max(1, -(-len(calls) // _ROWS))
    for index, call in enumerate(calls):
        is_turn = index > 0 and calls[index - 1].phase != call.phase
        if index % every == 0 or is_turn or call is calls[-1]:
            moved = f"{signed(call.allocated):>13}  {signed(call.released):>13}"
            yield f"{call.number:>6}  {call.phase:<12}  {moved}  {mib(call.held):>11}"


def _listed(account: Account) -> str:
    """What Ollama itself said of the model meanwhile, in /api/ps."""
    sizes = sorted({one.ps_size for one in account.samples if one.is_call and one.moment == "settled"})
    if len(sizes) == 1:
        return f"/api/ps: {mib(sizes[0])} throughout"
    return f"/api/ps: {mib(sizes[0])} to {mib(sizes[-1])}"


def _growth(growth: Growth, rounds: str, environment: Mapping[str, str]) -> Iterator[str]:
    end = ", then nothing" if growth.has_stopped else ", and on"
    what = "turns of a conversation" if growth.cause is Cause.CHECKPOINTS else "different prompts"
    yield f"{what}: {signed(growth.grown)}, {signed(growth.a_call)} at each of {growth.calls} {rounds}{end}"
    if growth.cause not in _VARIABLES:
        return
    yield f"  the {growth.cause} {_verb(growth)} up to {_limit(growth, rounds)}"
    variable, unit = _VARIABLES[growth.cause]
    if variable in environment:
        yield f"  another {variable} ({unit}) in the server's environment changes that; 0 turns it off"
    elif variable:
        yield f"  {variable}=N ({unit}) in the server's environment bounds it; 0 turns it off"


def _limit(growth: Growth, rounds: str) -> str:
    """How far it goes, and how many more like these that is."""
    if growth.bound is None:
        return growth.bounded_by
    limit = f"{text_of(growth.bound)}: {growth.bounded_by}"
    if growth.has_stopped or not growth.a_call:
        return limit
    return f"{limit}; {max(1, round(growth.bound / growth.a_call)):,} {rounds} like these"


def _up_to(growth: Growth) -> str:
    return "" if growth.bound is None else f" up to {text_of(growth.bound)} ({growth.bounded_by})"


def _leak(account: Account, found: Verdict) -> Iterator[str]:
    yield (
        f"one prompt, {REPEATED}: {signed(round(found.slope))} a call, {CONFIDENCE:.0%} sure between "
        f"{signed(round(found.low))} and {signed(round(found.high))}, after {found.warm_up_calls} calls"
    )
    if found.kind is Kind.LEAK:
        parts = (signed(round(account.slope_of(part))) for part in ("runners", "server"))
        yield "  of it in the runner {}, in the server itself {}".format(*parts)


def by_name(model: str, called: str) -> str:
    """Which name stands for the runner, and why."""
    return f"call {model} by the name {called}: that has the same weights and their runner, which no other name reloads"


def num_ctx(tokens: int) -> str:
    """What a probe of a model in memory sends, and why."""
    return f"num_ctx {tokens} was sent with each call: the context of the runner that was in memory"


def _phases(account: Account) -> Iterator[str]:
    idle, before = account.of_phase("idle"), account.of_phase("before")
    for phase, words in (("expiry", "keep_alive expired"), ("unload", "unloaded")):
        sample = account.of_phase(phase)
        if sample is None:
            continue
        if sample.held is None or idle is None or idle.held is None or before is None or before.held is None:
            yield f"{words}: the model is out of /api/ps"
            continue
        kept = sample.held - before.held
        yield f"{words}: {mib(idle.held - sample.held)} came back; {signed(kept)} more than at the start is kept"
    if account.of_phase("unload") is None:
        left = account.called.left or "the model was in memory before"
        yield f"{left}, and was left there: what an unload gives back was not tried"
        for growth in account.growth:
            if growth.cause in _VARIABLES and not account.is_replaced:
                yield f"  what these calls left{_left_in(growth)}, stays until an unload"


def _left_in(growth: Growth) -> str:
    """A runner grows by more than its full cache: by the prompt that is read, and by the gaps of its heap."""
    if growth.bound is not None and growth.grown > growth.bound:
        return f", about {mib(growth.grown)}, most of it in the {growth.cause}"
    return f" in the {growth.cause}, about {mib(growth.grown)}"


def mib(count: float) -> str:
    return f"{count / MIB:,.1f} MiB"


def signed(count: float) -> str:
    return f"{count / MIB:+,.1f} MiB" if abs(count) >= MIB / 10 else f"{round(count / 1024):+d} KiB"
