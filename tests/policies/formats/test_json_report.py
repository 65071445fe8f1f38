"""The report for programs: valid by its schema, whatever is in it."""

import json

from jsonschema import Draft202012Validator

from ollama_policy.formats.json_report import render, schema
from ollama_policy.model.result import Result


def test_everything(everything: Result) -> None:
    report = json.loads(render(everything))
    Draft202012Validator(schema()).validate(report)
    assert report["version"] == 1
    (finding,) = report["findings"]
    assert (finding["rule"], finding["file"], finding["start"], finding["end"]) == (
        "OLL001",
        "a.tf",
        {"line": 3, "column": 23},
        {"line": 3, "column": 34},
    )
    assert finding["value"] == "automatic"
    assert finding["fixes"][0]["edits"][0]["text"] == '"manual"'
    assert [(one["file"], one["by"], one["reason"]) for one in report["suppressed"]] == [
        ("b.tf", "comment", "known"),
        ("c.tf", "baseline", "in the baseline"),
    ]
    assert report["undecided"] == [
        {
            "file": "d.tf",
            "start": {"line": 4, "column": 23},
            "key": "memory_management",
            "address": "ollama_model.u",
            "reason": "var.mode has no default",
        }
    ]
    assert [(one["file"], one["start"]["line"]) for one in report["unreadable"]] == [("e.tf", 5)]
    assert report["summary"] == {
        "errors": 1,
        "warnings": 0,
        "infos": 0,
        "suppressed": 2,
        "undecided": 1,
        "unreadable": 1,
        "files_searched": 5,
        "files_read": 5,
    }


def test_any_name_makes_valid_json(hostile: Result) -> None:
    text = render(hostile)
    text.encode("utf-8")
    report = json.loads(text)
    json.dumps(report, ensure_ascii=False).encode("utf-8")
    Draft202012Validator(schema()).validate(report)
    assert "\\xff.tf" in {one["file"] for one in report["findings"]}


def test_nothing() -> None:
    Draft202012Validator(schema()).validate(json.loads(render(Result())))
