"""`ollama-policy adopt`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

import click

from ollama_policy.commands.options import CA_FILE, HOST, output_option
from ollama_policy.text.terminal import deliver


@click.command()
@HOST
@CA_FILE
@click.option(
    "--engine",
    type=click.Choice(["terraform", "pulumi"]),
    default="terraform",
    help="The language of the declarations.",
    show_default=True,
)
@click.option("--only", type=click.Choice(["resident"]), help="Only models that are in memory.")
@click.option(
    "--provider/--no-provider",
    "has_provider",
    default=True,
    show_default=True,
    help="Terraform: write --host into a provider block, or, where you already have one, into each resource.",
)
@output_option("declarations")
def adopt(
    host: str | None, ca_file: str | None, engine: str, only: str | None, has_provider: bool, output: str | None
) -> None:
    """Write declarations for the models on a server, so that the next plan changes nothing. Only reads."""
    from ollama_policy.commands.adopt.command import Engine, look, render
    from ollama_policy.live.connect import answered, connection

    reached = connection(host, ca_file)
    holding = answered(look(reached, only_resident=only is not None))
    written = render(holding, Engine(engine), reached.url if host else None, has_provider=has_provider)
    deliver(written, output)
