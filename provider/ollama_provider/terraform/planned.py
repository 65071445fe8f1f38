"""What a plan of a model resource holds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ollama_provider.apply.ownership import Origin, told
from ollama_provider.apply.sight import Verdict
from ollama_provider.apply.states import APPLY_CUT_OFF, CONTENT_REPLACED, State
from ollama_provider.model import ModelDeclaration, PullPolicy
from ollama_provider.terraform.protocol.provider import (
    Diagnostic,
    Values,
)
from ollama_provider.terraform.protocol.values import UNKNOWN

_COMES_FIRST = "With create_before_destroy, the new object takes the model over: it is not deleted."
CHANGES_CONTENT = {"name", "base", "gguf", "parameters", "system", "template", "digest"}


def planned_pin(planned: Values, otherwise: Any) -> Any:
    if planned["memory_management"] is UNKNOWN or planned["resident"] is UNKNOWN:
        return UNKNOWN
    if planned["memory_management"] == "manual":
        return planned["resident"]
    return otherwise if planned["keep_alive"] is None else False


def gets_other_content(prior: Values, changed: Sequence[str], planned: Values) -> bool:
    if not changed:
        return False
    is_replaced = prior["drift"] in (CONTENT_REPLACED, APPLY_CUT_OFF)
    may_be_pulled = planned["pull_policy"] in (PullPolicy.ALWAYS, UNKNOWN)
    return is_replaced or may_be_pulled or bool(CHANGES_CONTENT & set(changed))


def as_planned(planned: Values, state: State) -> Values:
    """The state, with everything that the plan promised: what moved since then is what the next refresh shows."""
    return {name: state.get(name) if value is UNKNOWN else value for name, value in planned.items()}


def said(declared: ModelDeclaration, origin: Origin, verdict: Verdict) -> Diagnostic:
    return Diagnostic(told(declared, origin, verdict), is_warning=True)


def where_replaced(where: str, text: Diagnostic) -> Diagnostic:
    """What a destroy will do, where this may be a replacement that Terraform does not tell from anything else."""
    return replace(text, summary=f"Where {where}: {text.summary}", detail=_COMES_FIRST)
