"""`ollama-policy adopt`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

import click

from ollama_policy.commands.options import CA_FILE, HOST
from ollama_policy.text.terminal import deliver


@click.command()
@HOST
@CA_FILE
@click.option("--engine", type=click.Choice(["terraform", "pulumi"]), default="terraform", help="Whose declarations.")
@click.option("--only", type=click.Choice(["resident"]), help="Only what is in memory.")
@click.option(
    "--provider/--no-provider",
    "has_provider",
    default=True,
    show_default=True,
    help="Terraform: write --host as a provider block, or at each resource where the configuration has such a block.",
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write it there, whole or not at all.")
def adopt(
    host: str | None, ca_file: str | None, engine: str, only: str | None, has_provider: bool, output: str | None
) -> None:
    """Write declarations of what a server holds now, so that the next plan changes nothing. It only reads."""
    from ollama_policy.commands.adopt.command import Engine, look, render
    from ollama_policy.live.connect import answered, connection

    reached = connection(host, ca_file)
    holding = answered(look(reached, only_resident=only is not None))
    written = render(holding, Engine(engine), reached.url if host else None, has_provider=has_provider)
    deliver(written, output)
