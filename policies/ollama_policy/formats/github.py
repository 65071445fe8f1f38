"""GitHub's workflow commands, one a line: annotations in a pull request, without an upload."""

from ollama_policy.model.result import Result
from ollama_policy.model.rule import Severity
from ollama_policy.text.escaping import shown

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(result: Result) -> str:
    lines = []
    for problem in result.unreadable:
        place = {"file": problem.path} if problem.is_file else {}
        if problem.place is not None:
            place |= {"line": str(problem.place.line), "col": str(problem.place.column)}
        message = problem.message if problem.is_file else f"{problem.path}: {problem.message}"
        lines.append(_command("error", place | {"title": "unreadable"}, message))
    for reported in result.findings:
        finding, start, end = reported.finding, reported.start, reported.end
        properties, message = {}, finding.message
        if finding.file.is_file:
            properties = {"file": finding.file.path, "line": str(start.line), "col": str(start.column)}
            if end.line == start.line:
                properties |= {"endLine": str(end.line), "endColumn": str(end.column)}
        else:
            message = f"{finding.file.path}: {message}"
        properties |= {"title": f"{finding.rule.id} {finding.rule.name}"}
        lines.append(_command(_COMMANDS[reported.severity], properties, message))
    for one in result.undecided:
        place = {"file": one.file.path, "line": str(one.start.line), "col": str(one.start.column)}
        lines.append(_command("notice", place | {"title": "undecided"}, one.reason))
    return "".join(line + "\n" for line in lines)


def _command(name: str, properties: dict[str, str], message: str) -> str:
    said = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {said}::{_data(message)}"


def _data(text: str) -> str:
    return shown(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
