"""`ollama-policy init`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

import click

from ollama_policy.errors import CannotLookError


@click.command()
@click.option(
    "--source",
    metavar="SOURCE",
    help="Where the jobs install ollama-policy from: git+https://SERVER/PROJECT@COMMIT, "
    "https://SERVER/FILE.whl#sha256=HASH, or a wheel or a checkout in this folder.",
)
def init(source: str | None) -> None:
    """Write a starter configuration, and jobs for pre-commit, GitHub and GitLab. Keeps existing files.

    ollama-policy is on no package index. Without --source, the jobs install the commit that this program was installed
    from. If that is not known, the command asks for it; without a terminal it writes a placeholder, which a later run
    with --source replaces.
    """
    import sys
    from pathlib import Path

    from ollama_policy.commands.init import install_source
    from ollama_policy.commands.init.starter import write_starter

    text = source or install_source.own()
    if not text and sys.stdin.isatty():
        text = click.prompt(
            f"Where do jobs install ollama-policy from ({install_source.FORMS})? Empty: later", default=""
        )
    chosen = install_source.read(text, Path()) if text else install_source.placeholder()
    told = []
    try:
        for line in write_starter(chosen):
            told.append(line)
    except OSError as error:
        raise CannotLookError(f"cannot write {error.filename}: {error.strerror}") from None
    finally:
        click.echo("".join(f"{line}\n" for line in told), nl=False)  # now, for whoever reads may stop at any line
