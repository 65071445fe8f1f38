"""Figures as a report writes them."""

from ollama_policy.commands.probe.text import mib, signed, verdict

__all__ = ["change", "held", "seconds", "verdict"]


def seconds(count: float) -> str:
    return f"{count * 1000:.0f} ms" if count < 1 else f"{count:.1f} s"


def held(count: int | None) -> str:
    return "not seen" if count is None else mib(count)


def change(count: int | None) -> str:
    return "not seen" if count is None else signed(count)
