"""For programs: everything that the run found. `version` changes where a field goes or changes its meaning."""

import json
from typing import Any

from ollama_policy.formats.writing import tool_version
from ollama_policy.model.result import Reported, Result
from ollama_policy.model.rule import Fix, Severity
from ollama_policy.model.settings import Position, SourceFile, Span
from ollama_policy.text.escaping import valid_unicode
from ollama_policy.text.json_schema import COUNT, FLAG, TEXT, Schema, document, listed, mapped, or_null, record

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
    if result.remarks:
        document["remarks"] = result.remarks
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


_FROM_1 = {"type": "integer", "minimum": 1}
_PLACE = record({"line": _FROM_1, "column": _FROM_1}) | {"description": "Both from 1, the column in code points."}
_FIGURES = ("memory_bytes", "in_memory", "pinned", "orphans")
PLACES = {"$defs": {"place": _PLACE}}
_AT = {"$ref": "#/$defs/place"}


def finding_schema() -> Schema:
    """The fields of a finding. The schema that uses it has PLACES."""
    edit = record({"file": TEXT, "start": _AT, "end": _AT, "bytes": listed(COUNT), "text": TEXT})
    return {
        "rule": {"type": "string", "pattern": "^OLL[0-9]{3}$"},
        "name": TEXT,
        "severity": {"enum": [severity.value for severity in Severity]},
        "message": TEXT,
        "label": TEXT,
        "file": {
            "type": "string",
            "description": "Relative to the working folder where it is under it; or a server's address.",
        },
        "start": or_null(_AT, "Null where the place is not a file."),
        "end": or_null(_AT),
        "address": TEXT,
        "value": TEXT,
        "advice": TEXT,
        "fixes": listed(record({"title": TEXT, "is_safe": FLAG, "edits": listed(edit)})),
    }


def schema() -> Schema:
    """The JSON Schema of a report."""
    finding = finding_schema()
    counts = "errors warnings infos suppressed undecided unreadable files_searched files_read".split()
    server: Schema = {"url": TEXT, "is_up": FLAG} | dict.fromkeys(_FIGURES, COUNT)
    server["drift"] = mapped(COUNT) | {"description": "Findings by rule."}
    return (
        document(
            "The report of `ollama-policy check --format json`, and of `drift`",
            VERSION,
            optional={
                "remarks": listed(TEXT) | {"description": "What the verdicts assume."},
                "servers": listed(record(server)),
            },
            properties={
                "tool": record({"name": TEXT, "version": TEXT}),
                "findings": listed(record(finding)),
                "suppressed": listed(record(finding | {"reason": TEXT, "by": {"enum": ["comment", "baseline"]}})),
                "undecided": listed(record({"file": TEXT, "start": _AT, "key": TEXT, "address": TEXT, "reason": TEXT})),
                "unreadable": listed(
                    record({"file": TEXT, "start": or_null(_AT), "message": TEXT, "is_internal": FLAG})
                ),
                "summary": record(dict.fromkeys(counts, COUNT)),
            },
        )
        | PLACES
    )
