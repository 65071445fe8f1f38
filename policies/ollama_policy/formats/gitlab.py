"""GitLab's code quality report: findings in the merge request, known again by their fingerprints."""

import json

from ollama_policy.formats.fingerprints import fingerprint_of, with_fingerprints
from ollama_policy.model.result import Result
from ollama_policy.model.rule import Severity
from ollama_policy.text.escaping import valid_unicode

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(result: Result) -> str:
    found = [
        {
            "description": valid_unicode(reported.finding.message),
            "check_name": reported.finding.rule.id,
            "fingerprint": fingerprint,
            "severity": _SEVERITIES[reported.severity],
            "location": {
                "path": valid_unicode(reported.finding.file.path),
                "lines": {"begin": reported.start.line, "end": max(reported.start.line, reported.end.line)},
            },
        }
        for reported, fingerprint in with_fingerprints(result.findings)
    ]
    unreadable = [
        {
            "description": valid_unicode(f"unreadable: {problem.message}"),
            "check_name": "unreadable",
            "fingerprint": fingerprint_of("unreadable", problem.path, problem.message),
            "severity": "blocker",
            "location": {
                "path": valid_unicode(problem.path),
                "lines": {"begin": 1 if problem.place is None else problem.place.line},
            },
        }
        for problem in result.unreadable
    ]
    return json.dumps(unreadable + found, indent=2) + "\n"
