"""JUnit's XML, for what shows test results: a finding is a failure, an unreadable file an error, an undecided value
skipped. A clean run has one test that passed, for an empty report is an error to some."""

from xml.sax.saxutils import escape, quoteattr

from ollama_policy.formats.writing import place_of
from ollama_policy.model.result import Result
from ollama_policy.text.escaping import shown


def render(result: Result) -> str:
    cases: list[tuple[str, str, str]] = []
    no_files = {problem.path for problem in result.unreadable if not problem.is_file}
    for problem in result.unreadable:
        body = f"<error message={_attribute(problem.message)}/>"
        cases.append((problem.path, "unreadable", body))
    for reported in result.findings:
        finding = reported.finding
        place = place_of(finding.file, reported.start)
        name = f"{finding.rule.id} {finding.rule.name} at {place.removeprefix(f'{finding.file.path}:')}"
        if not finding.file.is_file:
            no_files.add(finding.file.path)
            name = f"{finding.rule.id} {finding.rule.name} of {finding.address}"
        text = f"{place} {reported.severity.value}: {finding.message}"
        kind = _attribute(finding.rule.id)
        body = f"<failure type={kind} message={_attribute(finding.message)}>{escape(shown(text))}</failure>"
        cases.append((finding.file.path, name, body))
    for one in result.undecided:
        name = f"undecided {one.key or one.address} at {one.start.line}:{one.start.column}"
        cases.append((one.file.path, name, f"<skipped message={_attribute(one.reason)}/>"))
    if not cases:
        cases.append(("ollama-policy", f"{result.read} files", ""))
    lines = [
        f"    <testcase classname={_attribute(path)}{'' if path in no_files else f' file={_attribute(path)}'} "
        f"name={_attribute(name)}>{body}</testcase>"
        for path, name, body in cases
    ]
    counts = (
        f'tests="{len(cases)}" failures="{len(result.findings)}" errors="{len(result.unreadable)}" '
        f'skipped="{len(result.undecided)}"'
    )
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="ollama-policy" {counts}>',
            f'  <testsuite name="ollama-policy" {counts}>',
            *lines,
            "  </testsuite>",
            "</testsuites>\n",
        ]
    )


def _attribute(text: str) -> str:
    return quoteattr(shown(text))
