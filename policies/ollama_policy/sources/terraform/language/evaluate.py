"""The value of an expression: at once where that is plainly written, else by the evaluator.

Most are plainly written, and the evaluator takes longer to import than a file of such to read.
"""

from typing import Any

from ollama_policy.sources.terraform.language.blocks import ABSENT, Expression
from ollama_policy.sources.terraform.language.scope import Scope


def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value of an expression: plain Python values, Unknown wherever reading cannot tell."""
    found = expression.literal()
    if found is not ABSENT:
        return found
    from ollama_policy.sources.terraform.language.evaluator import work_out  # noqa: PLC0415 - see above

    return work_out(expression, scope)
