"""`ollama-policy rules` and `ollama-policy explain`, as the command line has them."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

import click

from ollama_policy.commands.options import rule_ids
from ollama_policy.errors import CannotLookError


@click.command()
def rules() -> None:
    """List all rules."""
    from ollama_policy.rules.registry import EVERY_RULE

    width = max(len(rule.name) for rule in EVERY_RULE)
    for rule in EVERY_RULE:
        click.echo(f"{rule.id}  {rule.severity.value:7}  {rule.name:{width}}  {rule.summary}")


@click.command()
@click.argument("rule_id", metavar="ID", shell_complete=rule_ids)
def explain(rule_id: str) -> None:
    """Explain a rule: what Ollama does, and what to write instead."""
    from ollama_policy.rules.pages import page
    from ollama_policy.rules.registry import EVERY_RULE
    from ollama_policy.text.spelling import suggestion

    found = [rule for rule in EVERY_RULE if rule_id.upper() == rule.id or rule_id.lower() == rule.name]
    if not found:
        wanted = rule_id.upper() if rule_id[:3].upper() == "OLL" else rule_id.lower()
        hint = suggestion(wanted, [name for rule in EVERY_RULE for name in (rule.id, rule.name)])
        raise CannotLookError(f"there is no rule {rule_id}" + (f"; {hint}" if hint else ""))
    click.echo(page(found[0]), nl=False)
