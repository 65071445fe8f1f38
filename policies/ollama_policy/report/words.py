"""Figures as a report writes them."""

from ollama_policy.probe.account import Account
from ollama_policy.probe.text import MEANINGS, mib, signed


def seconds(count: float) -> str:
    return f"{count * 1000:.0f} ms" if count < 1 else f"{count:.1f} s"


def verdict(account: Account) -> str:
    """What the probe found, in one sentence."""
    if account.verdict is None:
        return f"nothing can be said of a leak: {account.unseen or 'no process was seen'}"
    kind = account.verdict.kind
    return MEANINGS[kind]


def held(count: int | None) -> str:
    return "not seen" if count is None else mib(count)


def change(count: int | None) -> str:
    return "not seen" if count is None else signed(count)
