"""Texts in which a CI runner finds no command.

GitHub's runner takes `##[command]` anywhere in a line, Azure's and TeamCity's take `##vso[...]` and `##teamcity[...]`;
GitHub's takes `::command::` where a line begins, white space before it or not (actions/runner, ActionCommand.cs).
"""

import re
from typing import Final

_RUNNERS: Final = r"##(?=[A-Za-z]{0,30}\[)"
_HASH: Final = "#\\u0023"  # JSON, HCL, Python, TOML and YAML read it as it was, people understand it
_COLONS: Final = r"(?<!\S):(?=:[A-Za-z])"  # wherever a line may be broken: an engine wraps what it shows


def without_hash_commands(text: str, escape: str = _HASH) -> str:
    """The text without those that a runner takes anywhere in a line."""
    return re.sub(_RUNNERS, lambda _: escape, text) if "##" in text else text


def without_runner_commands(text: str) -> str:
    """The text, for an engine that shows it in lines of its own."""
    text = without_hash_commands(text)
    return re.sub(_COLONS, r"\\u003a", text) if "::" in text else text
