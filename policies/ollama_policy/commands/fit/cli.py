"""`ollama-policy fit`, as the command line has it."""

# ruff: noqa: PLC0415 - most runs need little of what a command needs

from typing import Any, NoReturn

import click

from ollama_policy.commands.options import CA_FILE, HOSTS, PATHS, RECORD, format_option, output_option


@click.command()
@PATHS
@HOSTS
@CA_FILE
@click.option(
    "--from", "from_file", metavar="SNAPSHOT", type=click.Path(), help="Use what --record saved instead of a server."
)
@RECORD
@click.option(
    "--no-registry",
    "asks_registries",
    flag_value=False,
    default=True,
    help="Do not ask registries about models that are not pulled yet.",
)
@click.option(
    "--memory",
    metavar="AMOUNT",
    help='The memory of the machine or container, such as "16GiB" (G, GB and GiB are 2**30 bytes).',
)
@click.option("--gpu-memory", metavar="AMOUNT", help="The memory of all GPUs together.")
@click.option("--num-parallel", metavar="N", type=click.IntRange(1, 256), help="Assume this OLLAMA_NUM_PARALLEL.")
@click.option("--kv-cache-type", metavar="TYPE", help="Assume this OLLAMA_KV_CACHE_TYPE, such as f16, q8_0 or q4_0.")
@click.option("--flash-attention/--no-flash-attention", default=None, help="Assume this OLLAMA_FLASH_ATTENTION.")
@click.option("--max-loaded", metavar="N", type=click.IntRange(1, 1000), help="Assume this OLLAMA_MAX_LOADED_MODELS.")
@click.option("--context-length", metavar="N", type=click.IntRange(1, 2**31), help="Assume this OLLAMA_CONTEXT_LENGTH.")
@click.option(
    "--fit-params",
    metavar="PROGRAM",
    help="llama.cpp's llama-fit-params, for unknown architectures. [default: the one on PATH]",
)
@click.option(
    "--fail-on", "fail_on", type=click.Choice(["growth"]), help="Also fail when prompt caches may outgrow the memory."
)
@format_option("text", "json")
@output_option()
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
    """Estimate whether the declared models fit into their server's memory.

    PATHS hold the declarations, and the server's own configuration: its variables and limits count unless an option
    overrides them. The report also says what the runners may grow to, and what is evicted. Servers are only read.

    Exit codes: 0 the models fit (prompt caches that may outgrow the memory are a warning, or 1 with --fail-on growth),
    1 they do not fit, 2 something is not known (a server, an architecture, the amount of memory), 3 nothing
    is declared.
    """
    from ollama_policy.commands.fit.command import Request, run
    from ollama_policy.live.capacity.settings import Given

    request = Request(paths, hosts, ca_file, Given(**given), form, output, from_file, record, asks_registries)
    context.exit(run(request._replace(fit_params=fit_params, fails_on_growth=fail_on == "growth")))
