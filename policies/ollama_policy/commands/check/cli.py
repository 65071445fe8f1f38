"""`ollama-policy check`, as the command line has it."""

from typing import NoReturn

import click

from ollama_policy.commands.check.command import SAFE
from ollama_policy.commands.check.command import run as run_check
from ollama_policy.commands.options import (
    COLOR,
    CONFIG,
    FAIL_ON,
    PATHS,
    STRICT,
    VERBOSE,
    format_option,
    output_option,
    rule_ids,
)
from ollama_policy.formats import Format
from ollama_policy.live.options import Request


@click.command()
@PATHS
@format_option(*(one.value for one in Format))
@output_option()
@click.option(
    "--select",
    metavar="IDS",
    multiple=True,
    shell_complete=rule_ids,
    help="Run only these rules: ids or id prefixes, separated by commas.",
)
@click.option(
    "--ignore",
    metavar="IDS",
    multiple=True,
    shell_complete=rule_ids,
    help="Skip these rules: ids or id prefixes, separated by commas.",
)
@STRICT
@FAIL_ON
@click.option("--fix", "does_fix", is_flag=True, help=f"Apply the safe fixes. {SAFE}")
@click.option("--diff", "shows_diff", is_flag=True, help="Show what --fix would change, as a unified diff.")
@click.option(
    "--unsafe-fixes",
    "with_unsafe_fixes",
    is_flag=True,
    help="With --fix or --diff: also apply fixes that are not safe.",
)
@click.option(
    "--fix-with",
    metavar="ID=CURE",
    multiple=True,
    help="With --fix or --diff: choose between the fixes of a rule, such as OLL001=keep-alive or OLL001=manual.",
)
@click.option("--baseline", metavar="FILE", type=click.Path(), help="Accept the findings in this baseline file.")
@CONFIG
@click.option("--stdin-filename", metavar="NAME", help="The file name of standard input, which the path `-` reads.")
@click.option("--target-version", metavar="VERSION", help="The Ollama version that the files are for.")
@VERBOSE
@COLOR
@click.pass_context
def check(context: click.Context, /, **request: object) -> NoReturn:
    """Check configuration files for memory settings that don't release memory.

    PATHS are files and folders; the default is the working folder. The path `-` reads standard input.

    Exit codes: 0 no findings, 1 findings, 2 a file could not be read, 3 there was nothing to check.
    """
    context.exit(run_check(Request(**request)))  # type: ignore[arg-type]
