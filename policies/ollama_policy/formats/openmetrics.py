"""OpenMetrics text, for a scraper or a textfile collector: counts only."""

from collections.abc import Callable, Iterator
from typing import Final

from ollama_policy.model.result import Result, ServerFigures
from ollama_policy.text.escaping import shown

_GAUGES: Final[tuple[tuple[str, str, Callable[[ServerFigures], int]], ...]] = (
    ("server_up", "Whether the server could be looked at.", lambda one: int(one.is_up)),
    ("memory_bytes", "Bytes of models in memory, by Ollama's own estimate.", lambda one: one.memory_bytes),
    ("models_in_memory", "Models in memory.", lambda one: one.in_memory),
    ("models_pinned", "Models in memory without a timer.", lambda one: one.pinned),
    ("orphans", "Models in memory that no name reaches.", lambda one: one.orphans),
)


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
    return "\n".join([*lines, *_servers(result), "# EOF"]) + "\n"


def _servers(result: Result) -> Iterator[str]:
    if not result.servers:
        return
    for name, text, value in _GAUGES:
        yield f"# TYPE ollama_policy_{name} gauge"
        yield f"# HELP ollama_policy_{name} {text}"
        for one in result.servers:
            if one.is_up or name == "server_up":
                yield f'ollama_policy_{name}{{server="{_label(one.url)}"}} {value(one)}'
    yield "# TYPE ollama_policy_drift gauge"
    yield "# HELP ollama_policy_drift What is not as declared, by server and kind."
    for one in result.servers:
        for rule in result.rules:
            if one.is_up and rule.id.startswith("OLL5"):
                labels = f'server="{_label(one.url)}",rule="{rule.id}",name="{rule.name}"'
                yield f"ollama_policy_drift{{{labels}}} {one.drift.get(rule.id, 0)}"


def _label(text: str) -> str:
    return shown(text).replace("\\", "\\\\").replace('"', '\\"')
