"""The command line: `ollama-policy`. Each command is imported when it is asked for, for most runs need little."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

from ollama_policy.commands.options import COMPLETION_VARIABLE
from ollama_policy.errors import CannotLookError

_MODULES: Final[Mapping[str, str]] = {
    "check": "check.cli",
    "drift": "drift.cli",
    "baseline": "baseline",
    "rules": "rules",
    "explain": "rules",
    "init": "init.cli",
    "adopt": "adopt.cli",
    "probe": "probe.cli",
    "bench": "bench.cli",
    "reclaim": "reclaim.cli",
    "logs": "logs.cli",
    "report": "report.cli",
    "remedies": "remedies.cli",
    "fit": "fit.cli",
    "completion": "completion",
}


class _Failure(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """The commands by their names, each in a module of its own."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_MODULES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _MODULES:
            return None
        command = getattr(import_module(f"ollama_policy.commands.{_MODULES[name]}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except CannotLookError as error:
            raise _Failure(str(error)) from None


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from ollama_policy.formats.writing import tool_version  # noqa: PLC0415

        click.echo(f"ollama-policy {tool_version()}")
        context.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
def cli() -> None:
    """Finds Ollama memory settings that will not release.

    Exit codes: 0 clean, 1 findings, 2 something could not be looked at, 3 there was nothing to look at.
    """


def run_click() -> int:
    """The exit code of the command that the process was given."""
    try:
        code = cli.main(prog_name="ollama-policy", complete_var=COMPLETION_VARIABLE, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0
