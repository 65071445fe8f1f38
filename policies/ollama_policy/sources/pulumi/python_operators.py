"""What Python's operators and texts come to, within bounds."""

import ast
from typing import Any, Final

from ollama_policy.sources.pulumi.undecided import UndecidedError

_MAX_TEXT: Final = 10_000
MAX_WHOLE: Final = 2**63


def short(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise UndecidedError("it is too long to evaluate")
    return text


def shown_text(item: ast.expr, part: Any) -> str:
    if isinstance(item, ast.Constant):
        return str(item.value)
    if isinstance(item, ast.FormattedValue) and item.conversion == -1 and item.format_spec is None:
        value = part(item.value)
        if isinstance(value, str | int):
            return str(value)
    raise UndecidedError("it is formatted in a way that is not followed")


def combined(operator: ast.operator, left: Any, right: Any) -> Any:
    match operator, left, right:
        case ast.Add(), str(), str():
            return short(left + right)
        case ast.Add(), int(), int():
            return left + right
        case ast.Mult(), int(), int() if abs(left * right) < MAX_WHOLE:
            return left * right
    raise UndecidedError("it is calculated in a way that is not followed")


def compared(operator: ast.cmpop, left: Any, right: Any) -> bool:
    match operator:
        case ast.Eq() | ast.Is():
            return bool(left == right)
        case ast.NotEq() | ast.IsNot():
            return bool(left != right)
        case ast.In() | ast.NotIn() if isinstance(right, list | dict) and isinstance(left, str):
            return (left in right) is isinstance(operator, ast.In)
    raise UndecidedError("it is compared in a way that is not followed")
