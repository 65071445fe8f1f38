"""`ollama-policy baseline`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

import os
from collections.abc import Sequence

import click

from ollama_policy.commands.options import CONFIG, PATHS
from ollama_policy.errors import CannotLookError
from ollama_policy.live.options import Request, options_of
from ollama_policy.text.terminal import deliver


@click.command()
@click.argument("file", type=click.Path())
@PATHS
@CONFIG
def baseline(file: str, paths: Sequence[str], config: str | None) -> None:
    """Write the present findings to FILE, for `check --baseline FILE` to accept."""
    from ollama_policy.pipeline.baseline import written
    from ollama_policy.pipeline.check import check as check_paths

    paths = paths or (os.curdir,)
    result = check_paths(paths, options_of(Request(paths, config=config), {}, with_baseline=False))
    deliver(written((reported.finding for reported in result.findings), file), file)
    click.echo(f"{len(result.findings)} findings accepted in {file}")
    if result.unreadable:
        raise CannotLookError(f"{len(result.unreadable)} files could not be read: see `ollama-policy check`")
