"""What a project decides, where it is found, and what is said of mistakes."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ollama_policy.model.rule import Severity, Target
from ollama_policy.pipeline.configuration import (
    FIELDS,
    Configuration,
    ConfigurationError,
    check_prefixes,
    find,
    load,
    parse,
    schema,
)

EVERYTHING = {
    "select": ["OLL0", "oll101"],
    "ignore": ["OLL005"],
    "severity": {"OLL0": "warning", "OLL001": "info"},
    "per-path-ignores": {"examples/": ["OLL3"]},
    "exclude": ["vendor/"],
    "baseline": "baseline.json",
    "fail-on": "error",
    "strict": True,
    "target-version": "v0.17.4-rc1",
    "target-memory": "64GiB",
    "target-gpu-memory": 1_000,
    "target-gpu-count": 2,
    "snapshot": "seen.json",
    "fix": {"oll001": "keep-alive"},
}


def test_every_key_is_read() -> None:
    assert set(EVERYTHING) == set(FIELDS)
    assert parse(EVERYTHING, "sub") == Configuration(
        folder="sub",
        select=("OLL0", "OLL101"),
        ignore=("OLL005",),
        severity={"OLL0": Severity.WARNING, "OLL001": Severity.INFO},
        per_path_ignores={"examples/": ("OLL3",)},
        exclude=("vendor/",),
        baseline="sub/baseline.json",
        fail_on=Severity.ERROR,
        is_strict=True,
        target=Target((0, 17, 4), 64 * 2**30, gpu_memory_bytes=1000, gpu_count=2, snapshot="sub/seen.json"),
        cures={"OLL001": "keep-alive"},
    )
    Draft202012Validator(schema()).validate(EVERYTHING)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"selct": []}, "unknown key 'selct' at the top; did you mean select?"),
        ({"zzz": []}, "unknown key 'zzz' at the top"),
        ({"select": "OLL001"}, "select = 'OLL001', expected a list of texts"),
        ({"select": [1]}, "select = [1], expected a list of texts"),
        ({"select": ["1"]}, "'1' is not a rule, expected an id such as OLL001 or its beginning"),
        ({"severity": []}, "severity = [], expected a table"),
        ({"severity": {"OLL001": "bad"}}, "'bad' is not a severity, expected one of error, warning, info"),
        ({"severity": {"x y": "info"}}, "'x y' is not a rule, expected an id such as OLL001 or its beginning"),
        ({"per-path-ignores": {"a": "OLL"}}, "a = 'OLL', expected a list of texts"),
        ({"fail-on": "never"}, "'never' is not a severity, expected one of error, warning, info"),
        ({"strict": "yes"}, "strict = 'yes', expected true or false"),
        ({"fix": "manual"}, "fix = 'manual', expected a table"),
        ({"baseline": 1}, "baseline = 1, expected a path"),
        ({"target-version": "new"}, "'new' is not a version, expected such as 0.34.3"),
        ({"target-memory": "much"}, "target-memory = 'much' is not an amount of memory, expected such as \"24GiB\""),
        ({"target-memory": True}, 'target-memory = True is not an amount of memory, expected such as "24GiB"'),
        ({"target-gpu-count": "2"}, "target-gpu-count = '2', expected a whole number"),
        ({"target-gpu-count": -1}, "target-gpu-count = -1, expected none or more"),
    ],
    ids=str,
)
def test_a_mistake_is_said_with_what_was_meant(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(table)
    assert str(caught.value) == message
    if not any("much" in str(value) for value in table.values()):
        assert not Draft202012Validator(schema()).is_valid(table)


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"selct": [], "select": ["1", "x y"], "severity": {"OLL001": "bad"}, "target-memory": "much"})
    assert str(caught.value).split("; ") == [
        "unknown key 'selct' at the top",
        "did you mean select?",
        "'1' is not a rule, expected an id such as OLL001 or its beginning",
        "'x y' is not a rule, expected an id such as OLL001 or its beginning",
        "'bad' is not a severity, expected one of error, warning, info",
        "target-memory = 'much' is not an amount of memory, expected such as \"24GiB\"",
    ]
    with pytest.raises(ConfigurationError, match=r"no rule begins with OLL8.*; no rule begins with OLL9"):
        check_prefixes(parse({"select": ["OLL8"], "ignore": ["OLL9"]}), ["OLL001"])


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1024", 1024), ("1K", 1024), ("1Ki", 1024), ("1.5GiB", 3 * 2**29), ("2 TB", 2 * 2**40), ("24GB", 24 * 2**30)],
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert parse({"target-memory": text}).target.memory_bytes == amount


@pytest.mark.parametrize(
    ("select", "ignore", "selected"),
    [
        ([], [], {"OLL001", "OLL005", "OLL101"}),
        (["OLL0"], [], {"OLL001", "OLL005"}),
        ([], ["OLL0"], {"OLL101"}),
        (["OLL"], ["OLL0"], {"OLL101"}),
        (["OLL001"], ["OLL0"], {"OLL001"}),
        (["OLL0"], ["OLL0"], set()),
        (["OLL0", "OLL101"], ["OLL005"], {"OLL001", "OLL101"}),
    ],
    ids=lambda ids: " ".join(sorted(ids)) or "none",
)
def test_the_longer_prefix_wins(select: list[str], ignore: list[str], selected: set[str]) -> None:
    configuration = parse({"select": select, "ignore": ignore})
    assert {one for one in ("OLL001", "OLL005", "OLL101") if configuration.selects(one)} == selected


def test_a_prefix_that_no_rule_has_is_refused() -> None:
    check_prefixes(parse({"select": ["OLL0"]}), ["OLL001"])
    for table in (
        {"select": ["OLL9"]},
        {"ignore": ["OLL9"]},
        {"severity": {"OLL9": "info"}},
        {"per-path-ignores": {"a": ["OLL9"]}},
    ):
        with pytest.raises(ConfigurationError, match="no rule begins with OLL9"):
            check_prefixes(parse(table), ["OLL001"])


def test_the_nearest_file_is_found(tree: Path) -> None:
    deep = tree / "a/b"
    deep.mkdir(parents=True)
    file = deep / "models.tf"
    file.write_text("")
    (tree / "pyproject.toml").write_text('[tool.ollama-policy]\nselect = ["OLL0"]\n')
    assert find(str(file)) == str(tree / "pyproject.toml")
    (tree / "a/pyproject.toml").write_text("# without ollama-policy\n[tool.other]\n")
    assert find(str(deep)) == str(tree / "pyproject.toml")
    (tree / "a/ollama-policy.toml").write_text('exclude = ["x"]\n')
    assert find(str(file)) == str(tree / "a/ollama-policy.toml")
    found = load(str(tree / "a/ollama-policy.toml"))
    assert (found.folder, found.exclude) == ("a", ("x",))
    assert load(str(tree / "pyproject.toml")).select == ("OLL0",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ollama-policy.toml", "a = ", "ollama-policy.toml: Invalid value (at end of document)"),
        ("ollama-policy.toml", "strct = 1", "ollama-policy.toml: unknown key 'strct' at the top; did you mean strict?"),
        (
            "pyproject.toml",
            "[tool.ollama-policy]\nfail_on = 'x'",
            "pyproject.toml: unknown key 'fail_on' at [tool.ollama-policy]; did you mean fail-on?",
        ),
    ],
)
def test_a_broken_file_is_named(tree: Path, name: str, text: str, message: str) -> None:
    (tree / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(name)
    assert str(caught.value) == message
