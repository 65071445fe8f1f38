"""`ollama-policy fit`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import CA_FILE, PATHS


@click.command()
@PATHS
@click.option("--host", "hosts", metavar="URL", multiple=True, help="A server, as in OLLAMA_HOST; any number of times.")
@CA_FILE
@click.option("--from", "from_file", metavar="SNAPSHOT", type=click.Path(), help="Judge what --record wrote.")
@click.option("--record", metavar="FILE", type=click.Path(), help="Write what the servers said; - is standard output.")
@click.option(
    "--no-registry",
    "asks_registries",
    flag_value=False,
    default=True,
    help="Ask no registry of what is not pulled yet.",
)
@click.option("--memory", metavar="AMOUNT", help='What the machine or container has, such as "16GiB".')
@click.option("--gpu-memory", metavar="AMOUNT", help="What all of its GPUs have.")
@click.option("--num-parallel", metavar="N", type=click.IntRange(1, 256), help="OLLAMA_NUM_PARALLEL.")
@click.option("--kv-cache-type", metavar="TYPE", help="OLLAMA_KV_CACHE_TYPE: f16, q8_0 or q4_0.")
@click.option("--flash-attention/--no-flash-attention", default=None, help="OLLAMA_FLASH_ATTENTION.")
@click.option("--max-loaded", metavar="N", type=click.IntRange(1, 1000), help="OLLAMA_MAX_LOADED_MODELS.")
@click.option("--context-length", metavar="N", type=click.IntRange(1, 2**31), help="OLLAMA_CONTEXT_LENGTH.")
@click.option(
    "--fit-params",
    metavar="PROGRAM",
    help="llama.cpp's llama-fit-params, for architectures that are not known; the one on PATH is asked by default.",
)
@click.option("--fail-on", "fail_on", type=click.Choice(["growth"]), help="Fail on what may outgrow the memory, too.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.pass_context
def fit(
    context: click.Context,
    /,
    paths: tuple[str, ...],
    hosts: tuple[str, ...],
    ca_file: str | None,
    from_file: str | None,
    record: str | None,
    asks_registries: bool,
    fit_params: str | None,
    fail_on: str | None,
    form: str,
    output: str | None,
    **given: Any,
) -> NoReturn:
    """Tell whether what is declared fits into the memory of its server, what its runners may grow to, and what goes.

    PATHS are the declarations, and those of the server itself, whose variables and limits count where no option says
    otherwise. Servers are only read. Exit codes: 0 it fits (prompt caches that may outgrow the memory are a warning, or
    1 with --fail-on growth), 1 it does not, 2 something is not known (a server, an architecture, how much memory there
    is), 3 nothing is declared.
    """
    from ollama_policy.commands.fit.command import Request, run
    from ollama_policy.live.capacity.settings import Given

    request = Request(paths, hosts, ca_file, Given(**given), form, output, from_file, record, asks_registries)
    context.exit(run(request._replace(fit_params=fit_params, fails_on_growth=fail_on == "growth")))
