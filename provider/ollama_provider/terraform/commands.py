"""`terraform-provider-ollama` as a person's command: it makes itself known to Terraform, and undoes that."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from textwrap import indent

import click

from ollama_provider.terraform.addresses import IMPLIED, IMPLIED_BY_OPENTOFU, OWN
from ollama_provider.terraform.mirror import Mirror, NotOursError, implied_mirrors, version_for_terraform
from ollama_provider.terraform.requirements import what_is_missing

_FOLDER = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="A filesystem mirror, instead of ~/.terraform.d/plugins, where Terraform looks by default.",
)


def _show_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        click.echo(f"terraform-provider-ollama {version('ollama-iac')}")
        context.exit()


def _debug(_: click.Context, __: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        _refuse_without_extra()
        from ollama_provider.terraform.protocol.plugin import serve_attached  # noqa: PLC0415 - grpc
        from ollama_provider.terraform.provider import OllamaProvider  # noqa: PLC0415 - pydantic

        serve_attached(OllamaProvider, (IMPLIED, IMPLIED_BY_OPENTOFU, OWN))
        sys.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
@click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_debug,
    help="Serve every Terraform that has the printed TF_REATTACH_PROVIDERS, until Ctrl-C.",
)
def cli() -> None:
    """Ollama models in Terraform. Terraform starts this program by itself, once it is installed."""


@cli.command()
@_FOLDER
@click.option(
    "--opentofu", "is_for_opentofu", is_flag=True, help="Also make it the provider that OpenTofu means by ollama."
)
def install(folder: Path | None, is_for_opentofu: bool) -> None:
    """Let Terraform find this provider. Once more after an upgrade, or where the Python environment moved."""
    _refuse_without_extra()
    mirror = Mirror(_absolute(folder))
    own_version = version_for_terraform(version("ollama-iac"))
    addresses = [IMPLIED, OWN, *([IMPLIED_BY_OPENTOFU] if is_for_opentofu else [])]
    try:
        launchers = mirror.install(own_version, addresses, sys.executable)
    except NotOursError as error:
        raise click.ClickException(
            f"{error} exists, and this command did not write it. Move it away, or choose another --folder."
        ) from None
    except OSError as error:
        raise click.ClickException(f"Cannot write {error.filename or mirror.folder}: {error.strerror}.") from None
    _try(launchers[0])
    click.echo(f"Installed version {own_version} in {mirror.folder}; it runs {sys.executable}.\n")
    if not _is_looked_at(mirror.folder):
        click.echo(f"Tell Terraform to look there, in {_settings()}:\n")
        click.echo(indent(_provider_installation(mirror.folder, sorted(mirror.addresses())), "  "))
    if "-" in own_version:
        click.echo("This is a pre-release, which Terraform uses only if its version is named:\n")
    else:
        click.echo("In a configuration without required_providers, ollama means this provider. Its full name is:\n")
    click.echo(indent(_required_providers(own_version), "  "))
    click.echo("Next: run terraform init in the folder of the configuration. If its lock file has another version:")
    click.echo("terraform init -upgrade.")


@cli.command()
@_FOLDER
def uninstall(folder: Path | None) -> None:
    """Take away what install made, and nothing else."""
    mirror = Mirror(_absolute(folder))
    try:
        removed = mirror.uninstall()
    except OSError as error:
        raise click.ClickException(f"Cannot remove {error.filename or mirror.folder}: {error.strerror}.") from None
    click.echo("\n".join([f"Removed {path}" for path in removed]) or f"Nothing of it is in {mirror.folder}.")


def _absolute(folder: Path | None) -> Path:
    return Path.cwd() / folder if folder else implied_mirrors()[0]


def _refuse_without_extra() -> None:
    if missing := what_is_missing():
        raise click.ClickException(missing)


def _try(launcher: Path) -> None:
    """Whether it starts at all: a folder may forbid it, and Python may find this package by PYTHONPATH alone."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        ran = subprocess.run(
            [launcher, "--version"], env=environment, cwd="/", capture_output=True, text=True, timeout=60
        )
        failure = (ran.stderr or ran.stdout).strip().splitlines()[-1:] if ran.returncode else None
    except OSError as error:
        failure = [error.strerror or str(error)]
    if failure is not None:
        raise click.ClickException(f"It is installed, but does not start: {launcher}: {' '.join(failure)}")


def _settings() -> Path:
    named = os.environ.get("TF_CLI_CONFIG_FILE") or os.environ.get("TERRAFORM_CONFIG")
    return Path(named) if named else Path.home() / ".terraformrc"


def _is_looked_at(folder: Path) -> bool:
    try:
        is_told_otherwise = "provider_installation" in _settings().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        is_told_otherwise = False
    return folder in implied_mirrors() and not is_told_otherwise


def _provider_installation(folder: Path, addresses: Sequence[str]) -> str:
    ours = ", ".join(f'"{address}"' for address in addresses)
    return f"""provider_installation {{
  filesystem_mirror {{
    path    = "{folder}"
    include = [{ours}]
  }}
  direct {{
    exclude = [{ours}]
  }}
}}
"""


def _required_providers(own_version: str) -> str:
    return f"""terraform {{
  required_providers {{
    ollama = {{
      source  = "{OWN}"
      version = "{own_version}"
    }}
  }}
}}
"""
