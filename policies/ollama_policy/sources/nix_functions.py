"""The functions of lib that wrap a value."""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    pass

ALIKE: Final = re.compile(r"(?:lib\.)?mk(?:Force|Default|Before|After|Merge)")
CONDITIONAL: Final = re.compile(r"(?:lib\.)?(?:mkIf|optionalAttrs)")
TO_STRING: Final = re.compile(r"(?:builtins\.)?toString")


def wraps(text: str, *functions: re.Pattern[str]) -> bool:
    return any(re.match(function.pattern + r"[\s(]", text) for function in functions)
