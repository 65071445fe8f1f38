"""SARIF 2.1.0, for code scanning: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.

What could not be read or decided is a notification of the invocation, for it is not a result: a service would show it
as an alert to be dismissed one by one.
"""

# ruff: noqa: PTH117, PTH118
import json
import os
from typing import Any
from urllib.parse import quote

from ollama_policy.formats.fingerprints import with_fingerprints
from ollama_policy.formats.rule_pages import page_of
from ollama_policy.formats.writing import tool_version
from ollama_policy.model.result import Reported, Result
from ollama_policy.model.rule import Fix, Rule, Severity
from ollama_policy.model.settings import Position, SourceFile, Span
from ollama_policy.text.escaping import file_uri, shown

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_BASE = "SRCROOT"


def render(result: Result) -> str:
    indexes = {rule.id: index for index, rule in enumerate(result.rules)}
    every = with_fingerprints([*result.findings, *result.accepted])
    run = {
        "tool": {
            "driver": {
                "name": "ollama-policy",
                "version": tool_version(),
                "rules": [_rule(rule) for rule in result.rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_BASE: {"uri": file_uri(os.path.realpath(os.curdir)) + "/"}},
        "invocations": [
            {
                "executionSuccessful": not result.unreadable,
                "toolExecutionNotifications": _notifications(result),
            }
        ],
        "results": [
            _result(reported, indexes[reported.finding.rule.id], fingerprint) for reported, fingerprint in every
        ],
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2) + "\n"


def _rule(rule: type[Rule]) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name.title().replace("-", ""),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.why}\n\n{rule.fix}"},
        **({"helpUri": page} if (page := page_of(rule.id)) else {}),
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(reported: Reported, rule_index: int, fingerprint: str) -> dict[str, Any]:
    finding = reported.finding
    location: dict[str, Any]
    if not finding.file.is_file:
        location = _logical(f"{finding.file.path} {finding.address}".rstrip())
    else:
        location = _location(finding.file.path, reported.start, reported.end)
        if finding.address:
            location |= _logical(finding.address)
    found: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": rule_index,
        "level": _LEVELS[reported.severity],
        "message": {"text": shown(finding.message)},
        "locations": [location],
        "partialFingerprints": {"ollamaPolicy/v1": fingerprint},
    }
    if finding.fixes:
        found["fixes"] = [_fix(fix) for fix in finding.fixes]
    if reported.accepted:
        kind = "inSource" if reported.is_in_source else "external"
        found["suppressions"] = [{"kind": kind, "justification": shown(reported.accepted)}]
    return found


def _fix(fix: Fix) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        replacement = {"deletedRegion": _exact_region(edit.file, edit.span), "insertedContent": {"text": edit.text}}
        changes.setdefault(edit.file.path, []).append(replacement)
    return {
        "description": {"text": shown(fix.title)},
        "artifactChanges": [
            {"artifactLocation": _artifact(path), "replacements": replacements}
            for path, replacements in changes.items()
        ],
    }


def _exact_region(file: SourceFile, span: Span) -> dict[str, int]:
    return _region(file.position(span.start), file.position(span.end))


def _region(start: Position, end: Position) -> dict[str, int]:
    return {
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    }


def _location(path: str, start: Position | None = None, end: Position | None = None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(path)}
    if start is not None:
        physical["region"] = _region(start, end or Position(start.line, start.column + 1))
    return {"physicalLocation": physical}


def _logical(name: str) -> dict[str, Any]:
    return {"logicalLocations": [{"fullyQualifiedName": shown(name)}]}


def _artifact(path: str) -> dict[str, str]:
    if os.path.isabs(path) or path.startswith("../"):
        return {"uri": file_uri(os.path.normpath(os.path.join(os.path.realpath(os.curdir), path)))}
    return {"uri": quote(os.fsencode(path)), "uriBaseId": _BASE}


def _notifications(result: Result) -> list[dict[str, Any]]:
    unreadable = [
        {
            "level": "error",
            "message": {"text": shown(problem.message)},
            "locations": [_location(problem.path, problem.place) if problem.is_file else _logical(problem.path)],
        }
        for problem in result.unreadable
    ]
    undecided = [
        {
            "level": "note",
            "message": {"text": shown(f"undecided: {one.reason}")},
            "locations": [_location(one.file.path, one.start)],
        }
        for one in result.undecided
    ]
    return unreadable + undecided
