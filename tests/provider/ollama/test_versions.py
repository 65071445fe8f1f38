"""The table of what Ollama does from which version on."""

import ast
from pathlib import Path

import pytest

from ollama_provider.ollama.versions import (
    DEVELOPMENT_BUILD,
    NEWEST_KNOWN,
    Behavior,
    Version,
    beyond_known,
    is_supported,
    is_within,
    version_in,
)

ROOT = Path(__file__).parents[3]
PACKAGES = (ROOT / "provider" / "ollama_provider", ROOT / "policies" / "ollama_policy")


@pytest.mark.parametrize(
    ("version", "since", "until", "expected"),
    [
        ((0, 30, 0), (0, 30, 0), None, True),
        ((0, 29, 9), (0, 30, 0), None, False),
        ((0, 30, 0), None, (0, 30, 0), False),
        ((0, 17, 4), None, (0, 30, 0), True),
        ((1, 0, 0), (0, 30, 0), None, True),
        (DEVELOPMENT_BUILD, (0, 30, 0), None, True),
        (DEVELOPMENT_BUILD, None, (0, 30, 0), False),
    ],
)
def test_within(version: Version, since: Version | None, until: Version | None, expected: bool) -> None:
    assert is_within(version, since, until) is expected


@pytest.mark.parametrize("behavior", Behavior)
def test_each_row_says_what_and_where_from_and_when(behavior: Behavior) -> None:
    assert behavior.what
    assert behavior.source
    assert behavior.since or behavior.until
    if behavior.since and behavior.until:
        assert is_within(behavior.since, None, behavior.until)
    assert behavior.holds(behavior.since or (0, 10, 0), if_unknown=False)
    assert behavior.holds(None, if_unknown=True)
    assert not behavior.holds(None, if_unknown=False)


def test_two_rows_are_never_one() -> None:
    assert len(Behavior) == len(Behavior.__members__)


def test_a_version_that_is_newer_than_all_known_is_treated_as_the_newest_and_that_is_said() -> None:
    newer = (NEWEST_KNOWN[0], NEWEST_KNOWN[1] + 1, 0)
    for behavior in Behavior:
        assert behavior.holds(newer, if_unknown=False) is behavior.holds(NEWEST_KNOWN, if_unknown=False)
    assert beyond_known(newer) == "Ollama 0.35.0 is newer than 0.34.3, the newest known version: treated like it"
    assert beyond_known(NEWEST_KNOWN) is None
    assert beyond_known(None) is None


@pytest.mark.parametrize(("version", "expected"), [((0, 6, 3), False), ((0, 6, 4), True), (DEVELOPMENT_BUILD, True)])
def test_the_oldest_that_is_supported(version: Version, expected: bool) -> None:
    assert is_supported(version) is expected


@pytest.mark.parametrize("text", ["", "latest", "0.30", "0.30.x", "v", "main", "0.30.1.2", "12345.0.0"])
def test_what_is_not_a_version(text: str) -> None:
    assert version_in(text) is None


@pytest.mark.parametrize("path", sorted(path for package in PACKAGES for path in package.rglob("*.py")), ids=str)
def test_no_other_module_compares_versions(path: Path) -> None:
    """A comparison by order with a version on either side: of a name such as `version`, or a tuple of numbers."""
    if path.name == "versions.py" or path.parent.name == "protocol":  # which knows no Ollama
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops
        ):
            for side in (node.left, *node.comparators):
                assert not _is_version(side), f"{path}:{node.lineno} compares versions: add a row to ollama/versions.py"


def _is_version(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return len(node.elts) == 3 and all(isinstance(one, ast.Constant) for one in node.elts)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lower().endswith(("version", "_since"))
