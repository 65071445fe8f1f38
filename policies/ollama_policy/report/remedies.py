"""What follows from what was found, in words.

Of the catalogue of `ollama-policy remedies`, which has the bytes, what the findings and measurements call for.

None is listed without a finding or a measurement that calls for it.
"""

from collections.abc import Collection
from typing import NamedTuple

from ollama_policy.drift.snapshot import Seen, Server
from ollama_policy.probe.account import Account
from ollama_policy.probe.growth import Cause
from ollama_policy.probe.leak import Kind as Verdict
from ollama_policy.probe.runner import CACHE_VARIABLE
from ollama_policy.remedies.remedy import Kind
from ollama_policy.report import words
from ollama_policy.report.architecture import Runner
from ollama_policy.servers import size
from ollama_provider.ollama.leaks import leaks_in, mended_in
from ollama_provider.ollama.versions import Version, version_in


class Remedy(NamedTuple):
    """`because` are ids of rules and kinds of drift, or what was measured."""

    title: str
    what: str
    because: tuple[str, ...]


class _Known(NamedTuple):
    """`kinds` are those of the catalogue that it stands for."""

    kinds: frozenset[Kind]
    title: str
    what: str
    rules: frozenset[str]


_RECLAIM = _Known(
    frozenset((Kind.ORPHAN,)),
    "Free what no name reaches",
    "ollama-policy reclaim gives the weights of an orphan a name again and unloads it, without a restart.",
    frozenset(("OLL507",)),
)
_VERSION = _Known(
    frozenset((Kind.VERSION,)),
    "Update Ollama",
    "A leak that a later release fixes is no matter of settings; where none is known to, report it with these figures. "
    "A newer one has defaults of its own: from 0.30 on each runner has a prompt cache of up to 8 GiB.",
    frozenset(("OLL301", "OLL302", "OLL509")),
)
_KEEP_ALIVE = _Known(
    frozenset(
        (
            Kind.KEEP_ALIVE,
            Kind.UNDECLARED,
        )
    ),
    "Bound keep_alive",
    "All memory of a runner goes back when its timer runs down. Declare a keep_alive, set OLLAMA_KEEP_ALIVE to a "
    "duration that Ollama reads, and take pins out of clients: a client's own keep_alive wins.",
    frozenset(("OLL001", "OLL003", "OLL005", "OLL101", "OLL109", "OLL401", "OLL402", "OLL506", "OLL508", "OLL513")),
)
_CACHE = _Known(
    frozenset((Kind.PROMPT_CACHE,)),
    "Cap the prompt cache",
    "From Ollama 0.30 on LLAMA_ARG_CACHE_RAM, in MiB, bounds the cache of each runner that grows with prompts; it is "
    "not in /api/ps. 0 turns it off: repeated prompts are then read anew. MLX's runners do not read it.",
    frozenset(("OLL202",)),
)
_RELOAD = _Known(
    frozenset((Kind.RELOAD,)),
    "Reload a runner that has grown",
    "ollama-policy reclaim --reload NAME unloads a model and loads it again, pinned if it was: what its runner has "
    "grown by goes back, and it costs one load. It grows again until its cache is bounded.",
    frozenset(),
)
_CONTEXT = _Known(
    frozenset(
        (
            Kind.CONTEXT,
            Kind.PARALLEL,
            Kind.KV_CACHE,
        )
    ),
    "Lower context and parallelism",
    "The KV cache is num_ctx times OLLAMA_NUM_PARALLEL. Declare num_ctx in the model's parameters, the same for all "
    "clients: one that differs reloads the model.",
    frozenset(("OLL106", "OLL107", "OLL201", "OLL203", "OLL204", "OLL205", "OLL403", "OLL511")),
)
_MANUAL = _Known(
    frozenset(
        (
            Kind.MANUAL,
            Kind.ABSENT,
        )
    ),
    'Switch to memory_management = "manual"',
    "Then what is in memory is declared, resident or not, and drift from it is found and applied. It pins, and a pin "
    "alone releases nothing: declare resident = false for what should not be there.",
    frozenset(("OLL001", "OLL004", "OLL506", "OLL508", "OLL513")),
)
_RESTART = _Known(
    frozenset(()),
    "Restart the server from time to time",
    "What grew is still there after the runner ended: it is in the server's own process, which no timer, no pin and no "
    "unload ends. Only a restart gives it back, until a release fixes it.",
    frozenset(),
)
# The surest first; the document's own recommendation comes where it helps.
_ALL = (_RECLAIM, _VERSION, _RESTART, _KEEP_ALIVE, _CACHE, _RELOAD, _CONTEXT, _MANUAL)


def remedies(
    ids: Collection[str], server: Server | None, held: Collection[Runner], account: Account | None
) -> list[Remedy]:
    """The remedies that the ids of findings, what the server holds and what was measured call for."""
    reasons: dict[_Known, list[str]] = {known: sorted(known.rules.intersection(ids)) for known in _ALL}
    pinned = [runner for runner in held if "pinned" in runner.why_held]
    if pinned:
        reasons[_KEEP_ALIVE].append(f"{size(sum(one.bytes for one in pinned))} pinned on the server")
    version = version_in(server.version) if isinstance(server, Seen) else None
    if version is not None and leaks_in(version):
        reasons[_VERSION].append(f"fixed in {'.'.join(map(str, mended_in(version)))}")
    if account is not None and account.kind is not None:
        _measured(account, version, reasons)
    return [Remedy(known.title, known.what, tuple(found)) for known, found in reasons.items() if found]


def _measured(account: Account, version: Version | None, reasons: dict[_Known, list[str]]) -> None:
    if account.kind is Verdict.LEAK and account.leak is not None:
        growth = f"{words.change(round(account.leak.slope))} a call was measured"
        reasons[_VERSION].append(growth)
        back = _given_back(account)
        if back is None:
            reasons[_KEEP_ALIVE].append(growth)
        elif back > account.total / 2:
            reasons[_KEEP_ALIVE].append(f"{growth}, and the timer gave {words.held(back)} back")
        else:
            reasons[_RESTART].append(f"{growth}, and the timer gave {words.held(max(back, 0))} back")
    for grown in account.growth:
        if grown.cause is Cause.PROMPT_CACHE:
            growth = f"{words.change(grown.a_call)} a different prompt was measured"
            if not grown.bounded_by.startswith(f"{CACHE_VARIABLE}="):
                reasons[_CACHE].append(growth)
            reasons[_RELOAD].append(growth)


def _given_back(account: Account) -> int | None:
    """What came back when the timer ran out; None where that was not seen."""
    idle, expiry = account.of_phase("idle"), account.of_phase("expiry")
    if idle is None or expiry is None or idle.held is None or expiry.held is None:
        return None
    return idle.held - expiry.held
