"""Whole reports of a log that a real server wrote."""

import pytest

from tests.policies.conftest import Command
from tests.policies.logs.told import REAL
from tests.snapshot import Snapshots


@pytest.mark.parametrize(("form", "suffix"), [("text", "txt"), ("markdown", "md")])
def test_the_whole_report(command: Command, form: str, suffix: str, snapshots: Snapshots) -> None:
    result = command("logs", REAL / "usual.log", "--format", form)
    snapshots.match(f"logs/usual.{suffix}", result.stdout.replace(str(REAL), "/folder"))
