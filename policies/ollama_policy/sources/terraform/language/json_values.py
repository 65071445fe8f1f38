"""What a value of Terraform's JSON syntax is worth."""

from collections.abc import Callable
from typing import Any

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language import syntax
from ollama_policy.sources.terraform.language.blocks import Expression
from ollama_policy.sources.terraform.language.scope import Scope


def json_value(node: Any, scope: Scope, template_value: Callable[[Expression], Any]) -> Any:
    """A value of Terraform's JSON, whose texts are templates."""
    if isinstance(node.value, list):
        return [json_value(item, scope, template_value) for item in node.items]
    if isinstance(node.value, dict):
        found = {}
        for key, value in node.members:
            name = json_value(key, scope, template_value)
            if isinstance(name, Unknown):
                return name
            found[name] = json_value(value, scope, template_value)
        return found
    if not isinstance(node.value, str):
        return node.value
    if scope.is_final or ("${" not in node.value and "%{" not in node.value):
        return node.value
    parsed = syntax.template(node.value)
    if parsed is None:
        return Unknown("a template that does not parse")
    return template_value(parsed)
