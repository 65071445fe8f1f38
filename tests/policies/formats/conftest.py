"""A result with one of everything, and with names and contents that mean harm."""

import os
from datetime import date
from pathlib import Path

import pytest

from ollama_policy.model.result import Result
from ollama_policy.model.settings import SourceFile
from ollama_policy.pipeline.baseline import written
from ollama_policy.pipeline.check import Options, check
from ollama_policy.rules import RULES
from tests.policies.conftest import AUTOMATIC, UNDECIDED

HOSTILE = "a,b:%\x1b[31m\r\n::error::\u202ec.tf"
NOT_UTF8 = os.fsdecode(b"\xff.tf")


def checked(*paths: str, baseline: SourceFile | None = None) -> Result:
    """All but the rules that want a whole deployment."""
    rules = [rule for rule in RULES if rule.id in ("OLL001", "OLL002", "OLL003")]
    return check(paths or ["."], Options(rules=rules, baseline=baseline, today=lambda: date(2026, 6, 1)))


@pytest.fixture
def everything(tree: Path) -> Result:
    """A finding, one that a comment and one that the baseline accepts, an undecided value and an unreadable file."""
    (tree / "a.tf").write_text(AUTOMATIC)
    (tree / "b.tf").write_text(
        AUTOMATIC.replace("chat", "second").replace('"automatic"', '"automatic" # ollama-policy: ignore[OLL001] known')
    )
    (tree / "c.tf").write_text(AUTOMATIC.replace("chat", "third"))
    (tree / "d.tf").write_text(UNDECIDED)
    (tree / "e.tf").write_text(AUTOMATIC + "}")
    old = [one.finding for one in checked("c.tf").findings]
    return checked(baseline=SourceFile("baseline.json", written(old, "baseline.json").encode()))


@pytest.fixture
def hostile(tree: Path) -> Result:
    """A finding and an unreadable file whose names would move a cursor, end a line or give CI a command."""
    content = AUTOMATIC.replace("chat", "ch\x1b[2Jat\u202e")
    (tree / HOSTILE).write_text(content)
    (tree / ("x" + HOSTILE)).write_text(content + "}")
    (tree / NOT_UTF8).write_text(AUTOMATIC)
    (tree / "::error::.tf").write_text(AUTOMATIC)
    return checked()
