"""What follows from what was found, in words: what of the catalogue findings, measurements and `remedies` call for.

None is listed without one of these that calls for it.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ollama_policy.commands.probe.account import Account
from ollama_policy.commands.probe.growth import Cause
from ollama_policy.commands.probe.leak import Kind as Verdict
from ollama_policy.commands.remedies.catalogue import CACHE, CATALOGUE, KEEP_ALIVE, RELOAD, RESTART, VERSION, Entry
from ollama_policy.commands.remedies.remedy import Remedy as Concrete
from ollama_policy.commands.report.pictures import words
from ollama_policy.live.runners.runner import CACHE_VARIABLE
from ollama_policy.live.snapshot import Server, ServerState
from ollama_provider.ollama.sizes import text_of
from ollama_provider.ollama.versions import Version, version_in


class Remedy(NamedTuple):
    """`because` are ids of rules and kinds of drift, what was measured, or what `remedies` recommends here."""

    title: str
    what: str
    because: tuple[str, ...]


def remedies(
    ids: Collection[str], server: Server | None, recommended: Sequence[Concrete], account: Account | None
) -> list[Remedy]:
    """What the ids of findings, the measurements and `ollama-policy remedies` at the same moment call for.

    Where a server was looked at, `recommended` is all that is said of what it holds.
    """
    reasons: dict[Entry, list[str]] = {entry: sorted(entry.rules.intersection(ids)) for entry in CATALOGUE}
    for entry in CATALOGUE:
        reasons[entry] += [_reason(one) for one in recommended if one.id in entry.kinds]
    version = version_in(server.version) if isinstance(server, ServerState) else None
    if account is not None and account.kind is not None:
        _measured(account, version, reasons)
    return [Remedy(entry.title, entry.what, tuple(found)) for entry, found in reasons.items() if found]


def _reason(one: Concrete) -> str:
    if one.gain.bytes is None:
        return f"{one.title}, of {one.target}: {one.why}"
    most = "up to " if one.gain.is_at_most else ""
    return f"{one.title}, of {one.target}, gives back {most}{text_of(one.gain.bytes)}: {one.why}"


def _measured(account: Account, version: Version | None, reasons: dict[Entry, list[str]]) -> None:
    if account.kind is Verdict.LEAK and account.leak is not None:
        growth = f"{words.change(round(account.leak.slope))} a call was measured"
        reasons[VERSION].append(growth)
        back = _given_back(account)
        if back is None:
            reasons[KEEP_ALIVE].append(growth)
        elif back > account.total / 2:
            reasons[KEEP_ALIVE].append(f"{growth}, and the timer gave {words.held(back)} back")
        else:
            reasons[RESTART].append(f"{growth}, and the timer gave {words.held(max(back, 0))} back")
    for grown in account.growth:
        if grown.cause is Cause.PROMPT_CACHE:
            growth = f"{words.change(grown.a_call)} a different prompt was measured"
            if not grown.bounded_by.startswith(f"{CACHE_VARIABLE}="):
                reasons[CACHE].append(growth)
            reasons[RELOAD].append(growth)


def _given_back(account: Account) -> int | None:
    """What came back when the timer ran out; None where that was not seen."""
    idle, expiry = account.of_phase("idle"), account.of_phase("expiry")
    if idle is None or expiry is None or idle.held is None or expiry.held is None:
        return None
    return idle.held - expiry.held
