"""OpenMetrics text, for a scraper or a textfile collector: counts only."""

from ollama_policy.result import Result


def render(result: Result) -> str:
    by_rule = result.by_rule()
    lines = [
        "# TYPE ollama_policy_findings gauge",
        "# HELP ollama_policy_findings Findings that count, by rule and severity.",
    ]
    for rule in result.rules:
        severities = [severity for (rule_id, severity) in by_rule if rule_id == rule.id] or [rule.severity]
        lines += [
            f'ollama_policy_findings{{rule="{rule.id}",name="{rule.name}",severity="{severity.value}"}} '
            f"{by_rule[rule.id, severity]}"
            for severity in severities
        ]
    for name, text, value in (
        ("suppressed", "Findings that a comment or the baseline accepts.", len(result.accepted)),
        ("undecided", "Values that could not be known by reading.", len(result.undecided)),
        ("unreadable", "Files that could not be looked at.", len(result.unreadable)),
        ("files_read", "Files with Ollama settings.", result.read),
        ("files_searched", "Files whose name may hold settings.", result.searched),
    ):
        lines += [
            f"# TYPE ollama_policy_{name} gauge",
            f"# HELP ollama_policy_{name} {text}",
            f"ollama_policy_{name} {value}",
        ]
    return "\n".join([*lines, "# EOF"]) + "\n"
