"""Texts in which a CI runner finds no command.

GitHub's runner takes `##[command]` anywhere in a line, Azure's and TeamCity's take `##vso[...]` and `##teamcity[...]`;
GitHub's takes `::command::` where a line begins, white space before it or not (actions/runner, ActionCommand.cs).
"""

import re
from typing import Final

RUNNERS: Final = r"##(?=[A-Za-z]{0,30}\[)"
HASH: Final = "#\\u0023"  # JSON, HCL, Python, TOML and YAML read it as it was, people understand it
_COLONS: Final = r"(?<!\S):(?=:[A-Za-z])"  # wherever a line may be broken: an engine wraps what it shows


def without_runner_commands(text: str) -> str:
    """The text, for an engine that shows it in lines of its own."""
    if "##" in text:
        text = re.sub(RUNNERS, lambda _: HASH, text)
    return re.sub(_COLONS, r"\\u003a", text) if "::" in text else text
