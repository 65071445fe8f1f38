"""`ollama-policy check`, as the command line has it."""

from typing import NoReturn

import click

from ollama_policy.commands.check.command import SAFE
from ollama_policy.commands.check.command import run as run_check
from ollama_policy.commands.options import CONFIG, PATHS, SEVERITIES
from ollama_policy.formats import Format
from ollama_policy.live.options import Request


@click.command()
@PATHS
@click.option("--format", "form", type=click.Choice([one.value for one in Format]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option("--select", metavar="IDS", multiple=True, help="Only these rules: ids or their beginnings, by comma.")
@click.option("--ignore", metavar="IDS", multiple=True, help="Not these rules: ids or their beginnings, by comma.")
@click.option("--strict", "is_strict", is_flag=True, help="Fail on what cannot be decided, too.")
@click.option("--fail-on", type=SEVERITIES, help="The lowest severity that fails. [default: warning]")
@click.option("--fix", "does_fix", is_flag=True, help=f"Apply the safe fixes. {SAFE}")
@click.option("--diff", "shows_diff", is_flag=True, help="Show what --fix would change, as a unified diff.")
@click.option("--unsafe-fixes", "with_unsafe_fixes", is_flag=True, help="With --fix or --diff: all other fixes, too.")
@click.option(
    "--fix-with",
    metavar="ID=CURE",
    multiple=True,
    help="With --fix or --diff: which cure of a rule to write, such as OLL001=keep-alive in place of OLL001=manual.",
)
@click.option("--baseline", metavar="FILE", type=click.Path(), help="Accept the findings that this file lists.")
@CONFIG
@click.option("--stdin-filename", metavar="NAME", help="The name of what comes on standard input, with the path `-`.")
@click.option("--target-version", metavar="VERSION", help="The version of Ollama that this is meant for.")
@click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Say each undecided value, each link not followed.")
@click.pass_context
def check(context: click.Context, /, **request: object) -> NoReturn:
    """Check files and folders, the working folder by default; `-` is standard input."""
    context.exit(run_check(Request(**request)))  # type: ignore[arg-type]
