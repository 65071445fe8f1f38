"""Whose a model is: what an apply brought may go with its resource, and what was there before stays. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from ollama_provider.apply.sight import FREE, Verdict
from ollama_provider.model import ModelDeclaration, OnDestroy


class Origin(StrEnum):
    """How a model came to be on its server."""

    FOUND = "found"
    PULLED = "pulled"
    DERIVED = "derived"
    UPLOADED = "uploaded"


WAS_THERE: Final = "was there before"
_NOT_AS_LEFT: Final = "has other content than the last apply left"


def brought_by(declared: ModelDeclaration) -> Origin:
    """The origin of a model that an apply of this declaration makes where nothing has its name."""
    if declared.base is not None:
        return Origin.DERIVED
    return Origin.UPLOADED if declared.gguf is not None else Origin.PULLED


def origin_in(state: Mapping[str, Any]) -> Origin:
    """The origin that a state has. A state of a version that did not note one counts as found: it costs no model."""
    noted = state.get("origin")
    return Origin(noted) if noted in list(Origin) else Origin.FOUND


def why_kept(declared: ModelDeclaration, origin: Origin, *, is_as_left: bool = True) -> str:
    """Why a destroy leaves the files, in words that follow the model's name; empty where it deletes them."""
    if declared.on_destroy is OnDestroy.DELETE:
        return ""
    if declared.on_destroy is not None:
        return f'has on_destroy = "{declared.on_destroy}"'
    if origin is Origin.FOUND:
        return WAS_THERE
    return "" if is_as_left else _NOT_AS_LEFT


def told(declared: ModelDeclaration, origin: Origin, verdict: Verdict = FREE) -> str:
    """What a destroy will do, in one line."""
    name, why = declared.model_name, verdict.keeps or why_kept(declared, origin)
    if verdict.leaves:
        return f"{name} {verdict.keeps}: it stays as it is"
    if declared.on_destroy is OnDestroy.KEEP:
        return f'{name} has on_destroy = "keep": it stays as it is, in memory too'
    if why:
        return f"{name} {why}: it is unloaded, and its files stay"
    whose = f"was {origin} by this resource" if declared.on_destroy is None else 'has on_destroy = "delete"'
    base = f". Its base, {declared.base_name}, is not touched" if declared.base else ""
    return f"{name} {whose}: it is unloaded and deleted{base}"
