"""The command line: `ollama-policy`. Each command is imported when it is asked for, for most runs need little."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final, NamedTuple

import click

from ollama_policy.commands.options import COMPLETION_VARIABLE
from ollama_policy.errors import CannotLookError


class _Entry(NamedTuple):
    """A command: its module, and what the list of commands says of it."""

    module: str
    summary: str


# By what a person wants to do; the summaries have at most 45 characters.
_COMMANDS: Final[Mapping[str, Mapping[str, _Entry]]] = {
    "Check": {
        "check": _Entry("check.cli", "Check configuration files"),
        "baseline": _Entry("baseline", "Accept the present findings"),
        "rules": _Entry("rules", "List all rules"),
        "explain": _Entry("rules", "Explain a rule"),
        "init": _Entry("init.cli", "Write a starter configuration and CI jobs"),
    },
    "Inspect": {
        "drift": _Entry("drift.cli", "Compare declarations with servers"),
        "fit": _Entry("fit.cli", "Estimate whether models fit into memory"),
        "logs": _Entry("logs.cli", "Report what a server's log says of memory"),
        "remedies": _Entry("remedies.cli", "List what would free memory"),
        "report": _Entry("report.cli", "Write one page about a server"),
    },
    "Measure": {
        "probe": _Entry("probe.cli", "Measure whether a model's memory leaks"),
        "bench": _Entry("bench.cli", "Compare two ways to serve a model"),
    },
    "Act": {
        "reclaim": _Entry("reclaim.cli", "Free memory that nobody uses"),
        "adopt": _Entry("adopt.cli", "Write declarations for a server's models"),
        "completion": _Entry("completion", "Print a shell's completion script"),
    },
}
_MODULES: Final = {name: entry.module for entries in _COMMANDS.values() for name, entry in entries.items()}


class _Failure(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """The commands by their names, each in a module of its own."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_MODULES)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for title, entries in _COMMANDS.items():
            with formatter.section(title):
                width = max(map(len, _MODULES))
                formatter.write_dl([(f"{name:{width}}", entry.summary) for name, entry in entries.items()])

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
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Print the version."
)
def cli() -> None:
    """Check, inspect and measure how Ollama servers use memory.

    Exit codes: 0 no findings, 1 findings, 2 something could not be read, 3 there was nothing to look at.
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
