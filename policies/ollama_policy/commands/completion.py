"""`ollama-policy completion`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

import click

from ollama_policy.commands.options import COMPLETION_VARIABLE
from ollama_policy.errors import CannotLookError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, shell: str) -> None:
    """Print the completion script of a shell, for `eval "$(ollama-policy completion bash)"`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    try:
        source = found(context.find_root().command, {}, "ollama-policy", COMPLETION_VARIABLE).source()
    except RuntimeError as error:  # a bash that is too old for it
        raise CannotLookError(str(error)) from None
    click.echo(source)
