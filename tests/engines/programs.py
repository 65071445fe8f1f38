"""Small Pulumi programs that declare models, and what an outcome did to each."""

from typing import Any

from tests.engines.pulumi_stack import Outcome


def program(**models: dict[str, Any]) -> str:
    """A Pulumi program that declares models, by resource name."""
    lines = ["import pulumi", "from ollama_provider import OllamaModel"]
    for resource_name, arguments in models.items():
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        lines.append(f"{resource_name} = OllamaModel({resource_name!r}, {given})")
    return "\n".join(lines) + "\n"


def steps(outcome: Outcome) -> dict[str, str]:
    """The operation on each model that is not `same`, by resource name."""
    return {
        step.urn.rpartition("::")[2]: step.op for step in outcome.steps if ":Model::" in step.urn and step.op != "same"
    }
