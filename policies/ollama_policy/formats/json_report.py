"""For programs: everything that the run found. `version` changes where a field goes or changes its meaning."""

import json
from typing import Any

from ollama_policy.formats.escaping import valid_unicode
from ollama_policy.formats.writing import tool_version
from ollama_policy.result import Reported, Result
from ollama_policy.rules.rule import Fix, Severity
from ollama_policy.settings import Position, SourceFile, Span

VERSION = 1


def render(result: Result) -> str:
    document: dict[str, Any] = {
        "version": VERSION,
        "tool": {"name": "ollama-policy", "version": tool_version()},
        "findings": [_finding(reported) for reported in result.findings],
        "suppressed": [
            _finding(reported) | {"reason": reported.accepted, "by": "comment" if reported.is_in_source else "baseline"}
            for reported in result.accepted
        ],
        "undecided": [
            {"file": one.file.path, "start": _place(one.start), "key": one.key, "address": one.address}
            | {"reason": one.reason}
            for one in result.undecided
        ],
        "unreadable": [
            {"file": one.path, "start": None if one.place is None else _place(one.place), "message": one.message}
            | {"is_internal": one.is_internal}
            for one in result.unreadable
        ],
        "summary": {
            "errors": result.count(Severity.ERROR),
            "warnings": result.count(Severity.WARNING),
            "infos": result.count(Severity.INFO),
            "suppressed": len(result.accepted),
            "undecided": len(result.undecided),
            "unreadable": len(result.unreadable),
            "files_searched": result.searched,
            "files_read": result.read,
        },
    }
    if result.servers:
        document["servers"] = [one._asdict() | {"drift": dict(one.drift)} for one in result.servers]
    return json.dumps(_valid(document), indent=2) + "\n"


def _finding(reported: Reported) -> dict[str, Any]:
    finding = reported.finding
    return {
        "rule": finding.rule.id,
        "name": finding.rule.name,
        "severity": reported.severity.value,
        "message": finding.message,
        "label": finding.label,
        "file": finding.file.path,
        "start": _place(reported.start) if finding.file.is_file else None,
        "end": _place(reported.end) if finding.file.is_file else None,
        "address": finding.address,
        "value": finding.value,
        "advice": finding.advice,
        "fixes": [_fix(fix) for fix in finding.fixes],
    }


def _fix(fix: Fix) -> dict[str, Any]:
    edits = [{"file": edit.file.path, **_range(edit.file, edit.span), "text": edit.text} for edit in fix.edits]
    return {"title": fix.title, "is_safe": fix.is_safe, "edits": edits}


def _range(file: SourceFile, span: Span) -> dict[str, Any]:
    return {
        "start": _place(file.position(span.start)),
        "end": _place(file.position(span.end)),
        "bytes": [span.start, span.end],
    }


def _place(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column}


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, list):
        return [_valid(item) for item in value]
    return {key: _valid(item) for key, item in value.items()} if isinstance(value, dict) else value


_PLACE = {
    "type": "object",
    "description": "Both from 1, the column in code points.",
    "properties": {"line": {"type": "integer", "minimum": 1}, "column": {"type": "integer", "minimum": 1}},
    "required": ["line", "column"],
    "additionalProperties": False,
}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_FIGURES = ("memory_bytes", "in_memory", "pinned", "orphans")


def _object(properties: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    place = {"$ref": "#/$defs/place"}
    edit = _object({"file": _TEXT, "start": place, "end": place, "bytes": _list(_COUNT), "text": _TEXT})
    finding = {
        "rule": {"type": "string", "pattern": "^OLL[0-9]{3}$"},
        "name": _TEXT,
        "severity": {"enum": [severity.value for severity in Severity]},
        "message": _TEXT,
        "label": _TEXT,
        "file": {
            "type": "string",
            "description": "Relative to the working folder where it is under it; or a server's address.",
        },
        "start": {"anyOf": [place, {"type": "null"}], "description": "Null where the place is no file."},
        "end": {"anyOf": [place, {"type": "null"}]},
        "address": _TEXT,
        "value": _TEXT,
        "advice": _TEXT,
        "fixes": _list(_object({"title": _TEXT, "is_safe": {"type": "boolean"}, "edits": _list(edit)})),
    }
    counts = "errors warnings infos suppressed undecided unreadable files_searched files_read".split()
    server: dict[str, Any] = {"url": _TEXT, "is_up": {"type": "boolean"}} | dict.fromkeys(_FIGURES, _COUNT)
    server["drift"] = {"type": "object", "description": "Findings by rule.", "additionalProperties": _COUNT}
    unreadable = {"file": _TEXT, "start": {"anyOf": [place, {"type": "null"}]}, "message": _TEXT}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The report of `ollama-policy check --format json`, and of `drift`",
        **_object(
            optional={"servers": _list(_object(server))},
            properties={
                "version": {"const": VERSION},
                "tool": _object({"name": _TEXT, "version": _TEXT}),
                "findings": _list(_object(finding)),
                "suppressed": _list(_object(finding | {"reason": _TEXT, "by": {"enum": ["comment", "baseline"]}})),
                "undecided": _list(
                    _object({"file": _TEXT, "start": place, "key": _TEXT, "address": _TEXT, "reason": _TEXT})
                ),
                "unreadable": _list(_object(unreadable | {"is_internal": {"type": "boolean"}})),
                "summary": _object(dict.fromkeys(counts, _COUNT)),
            },
        ),
        "$defs": {"place": _PLACE},
    }
