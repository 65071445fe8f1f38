"""The command line: `ollama-policy`. Each command imports what it needs, for most runs need little."""

# ruff: noqa: PLC0415

import os
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from ollama_policy.checking import SAFE, CannotLookError, Request, all_rules, deliver, options_of
from ollama_policy.checking import run as run_check
from ollama_policy.formats import Format

COMPLETION_VARIABLE = "_OLLAMA_POLICY_COMPLETE"
_PATHS = click.argument("paths", nargs=-1, type=click.Path())
_CONFIG = click.option("--config", metavar="FILE", type=click.Path(), help="Use this configuration, and no other.")
_HOST = click.option("--host", metavar="URL", help="The server, as in OLLAMA_HOST, which is read by default.")
_CA_FILE = click.option("--ca-file", metavar="FILE", type=click.Path(), help="The certificates of a private authority.")
_PLAN = click.option("--plan", "is_dry", is_flag=True, help="Say what it would do to the server, and do nothing.")
_ACTED_ON = click.option("--host", metavar="URL", help="The server, where OLLAMA_HOST does not name it.")
_SEVERITIES = click.Choice(["error", "warning", "info"])


class _Failure(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except CannotLookError as error:
            raise _Failure(str(error)) from None


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from ollama_policy.formats.writing import tool_version

        click.echo(f"ollama-policy {tool_version()}")
        context.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
def cli() -> None:
    """Finds Ollama memory settings that will not release.

    Exit codes: 0 clean, 1 findings, 2 something could not be looked at, 3 there was nothing to look at.
    """


@cli.command()
@_PATHS
@click.option("--format", "form", type=click.Choice([one.value for one in Format]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option("--select", metavar="IDS", multiple=True, help="Only these rules: ids or their beginnings, by comma.")
@click.option("--ignore", metavar="IDS", multiple=True, help="Not these rules: ids or their beginnings, by comma.")
@click.option("--strict", "is_strict", is_flag=True, help="Fail on what cannot be decided, too.")
@click.option("--fail-on", type=_SEVERITIES, help="The lowest severity that fails. [default: warning]")
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
@_CONFIG
@click.option("--stdin-filename", metavar="NAME", help="The name of what comes on standard input, with the path `-`.")
@click.option("--target-version", metavar="VERSION", help="The version of Ollama that this is meant for.")
@click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Say each undecided value, each link not followed.")
@click.pass_context
def check(context: click.Context, /, **request: object) -> NoReturn:
    """Check files and folders, the working folder by default; `-` is standard input."""
    context.exit(run_check(Request(**request)))  # type: ignore[arg-type]


@cli.command()
@_PATHS
@click.option(
    "--host", "hosts", metavar="URL", multiple=True, help="A server, as in OLLAMA_HOST, which is the default."
)
@click.option("--hosts-file", metavar="FILE", type=click.Path(), help="Servers, one a line; # begins a comment.")
@click.option("--fleet", metavar="NAME", multiple=True, help="A server at each address of this DNS name.")
@click.option("--format", "form", type=click.Choice([one.value for one in Format]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option("--select", metavar="IDS", multiple=True, help="Only these kinds: ids or their beginnings, by comma.")
@click.option("--ignore", metavar="IDS", multiple=True, help="Not these kinds: ids or their beginnings, by comma.")
@click.option("--strict", "is_strict", is_flag=True, help="Fail on what cannot be decided, too.")
@click.option("--fail-on", type=_SEVERITIES, help="The lowest severity that fails. [default: warning]")
@click.option("--record", metavar="FILE", type=click.Path(), help="Write what the servers said; `-`: to stdout.")
@click.option("--from", "from_file", metavar="FILE", type=click.Path(), help="Judge what was recorded; `-` is stdin.")
@click.option("--timeout", metavar="DURATION", default="10s", show_default=True, help="The deadline of each server.")
@_CA_FILE
@click.option("--watch", "does_watch", is_flag=True, help="A table in the terminal that moves, until Ctrl-C.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    default=2.0,
    show_default=True,
    help="With --watch: how long between two looks.",
)
@_CONFIG
@click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Say each undecided value, each link not followed.")
@click.pass_context
def drift(context: click.Context, /, **request: object) -> NoReturn:
    """Compare what PATHS declare with what servers really hold, on disk and in memory. Changes no server.

    PATHS are files and folders as for `check`, and Terraform states; the working folder by default. A declaration is
    for its own host, else its provider's, else for every --host. OLLAMA_API_KEY, or a netrc's password, is sent to
    servers that are named here or by OLLAMA_HOST, and to no other.
    """
    from ollama_policy.drift.command import Request, run

    context.exit(run(Request(**request)))  # type: ignore[arg-type]


@cli.command()
@click.argument("file", type=click.Path())
@_PATHS
@_CONFIG
def baseline(file: str, paths: Sequence[str], config: str | None) -> None:
    """Write to FILE the findings that are there now, for `check --baseline FILE` to accept."""
    from ollama_policy.baseline import written
    from ollama_policy.check import check as check_paths

    paths = paths or (os.curdir,)
    result = check_paths(paths, options_of(Request(paths, config=config), {}, with_baseline=False))
    deliver(written((reported.finding for reported in result.findings), file), file)
    click.echo(f"{len(result.findings)} findings accepted in {file}")
    if result.unreadable:
        raise CannotLookError(f"{len(result.unreadable)} files could not be read: see `ollama-policy check`")


@cli.command()
def rules() -> None:
    """List all rules."""
    every = all_rules()
    width = max(len(rule.name) for rule in every)
    for rule in every:
        click.echo(f"{rule.id}  {rule.severity.value:7}  {rule.name:{width}}  {rule.summary}")


@cli.command()
@click.argument("rule_id", metavar="ID")
def explain(rule_id: str) -> None:
    """Explain a rule: what happens in Ollama, and what to write instead."""
    from ollama_policy.rule_pages import page
    from ollama_policy.spelling import suggestion

    every = all_rules()
    found = [rule for rule in every if rule_id.upper() == rule.id or rule_id.lower() == rule.name]
    if not found:
        wanted = rule_id.upper() if rule_id[:3].upper() == "OLL" else rule_id.lower()
        hint = suggestion(wanted, [name for rule in every for name in (rule.id, rule.name)])
        raise CannotLookError(f"there is no rule {rule_id}" + (f"; {hint}" if hint else ""))
    click.echo(page(found[0]), nl=False)


@cli.command()
@click.option(
    "--source",
    metavar="SOURCE",
    help="Where the jobs install ollama-policy from: git+https://SERVER/PROJECT@COMMIT, "
    "https://SERVER/FILE.whl#sha256=HASH, or a wheel or a checkout in this folder.",
)
def init(source: str | None) -> None:
    """Write a starter configuration, and jobs for pre-commit, GitHub and GitLab. Keeps what is there.

    ollama-policy is on no package index. Without --source the jobs install the commit that this one was installed from;
    where that is not known, it is asked for, and without a terminal the jobs have a placeholder,
    which a later run with --source replaces.
    """
    import sys
    from pathlib import Path

    from ollama_policy import install_source
    from ollama_policy.starter import write_starter

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


@cli.command()
@_HOST
@_CA_FILE
@click.option("--engine", type=click.Choice(["terraform", "pulumi"]), default="terraform", help="Whose declarations.")
@click.option("--only", type=click.Choice(["resident"]), help="Only what is in memory.")
@click.option(
    "--provider/--no-provider",
    "has_provider",
    default=True,
    show_default=True,
    help="Terraform: write --host as a provider block, or at each resource where the configuration has such a block.",
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write it there, whole or not at all.")
def adopt(
    host: str | None, ca_file: str | None, engine: str, only: str | None, has_provider: bool, output: str | None
) -> None:
    """Write declarations of what a server holds now, so that the next plan changes nothing. It only reads."""
    from ollama_policy.adopting import Engine, look, render
    from ollama_policy.reaching import answered, connection

    reached = connection(host, ca_file)
    holding = answered(look(reached, only_resident=only is not None))
    written = render(holding, Engine(engine), reached.url if host else None, has_provider=has_provider)
    deliver(written, output)


@cli.command()
@click.argument("model")
@_ACTED_ON
@_CA_FILE
@_PLAN
@click.option(
    "--calls",
    default=60,
    type=click.IntRange(1, 100_000),
    show_default=True,
    help="How many: half with prompts that differ, then half with one prompt; at least 40 decide, times --concurrency.",
)
@click.option(
    "--concurrency", default=1, type=click.IntRange(1, 1000), show_default=True, help="How many at once: a round."
)
@click.option("--prompt", default="Say why the sky is blue.", help="How each prompt ends.")
@click.option("--vary", "varies", is_flag=True, help="Only prompts that differ: how a cache fills. Decides no leak.")
@click.option("--tokens", default=16, type=click.IntRange(1), show_default=True, help="The longest answer.")
@click.option(
    "--fail-on",
    "fails_on",
    type=click.Choice(["leak", "growth"]),
    default="leak",
    show_default=True,
    help="What exit code 1 is for: a leak alone, or a cache that grows, too.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.pass_context
def probe(
    context: click.Context,
    /,
    calls: int,
    concurrency: int,
    prompt: str,
    varies: bool,
    tokens: int,
    **request: Any,
) -> NoReturn:
    """Call MODEL again and again, and tell a leak from a cache that grows and from a model that is steady.

    First with prompts that differ, then with one prompt, which no cache keeps twice: growth that goes on then is the
    leak. Notes, call by call, what is allocated and what comes back: M = sum(m - r). A model that was in memory before
    is left there; --plan says what it would do. Exit codes: 0 no leak (growth with a bound is a warning), 1 a leak,
    2 it could not be seen or decided.
    """
    from ollama_policy.probe.command import Request, run
    from ollama_policy.probe.probing import Plan

    plan = Plan(calls=calls, concurrency=concurrency, prompt=prompt, num_predict=tokens, varies=varies)
    context.exit(run(Request(plan=plan, **request)))


@cli.command()
@click.argument("case", type=click.Choice(["pinned", "aligned", "servers"]))
@click.argument("model")
@_ACTED_ON
@_CA_FILE
@_PLAN
@click.option("--other-host", metavar="URL", help="The second server, for `servers`.")
@click.option("--rounds", default=8, type=click.IntRange(4, 1000), show_default=True, help="How many a side.")
@click.option("--calls", default=8, type=click.IntRange(1, 10_000), show_default=True, help="How many a round.")
@click.option("--concurrency", default=1, type=click.IntRange(1, 1000), show_default=True, help="How many at once.")
@click.option("--prompt", default="Say why the sky is blue.", help="What is asked.")
@click.option("--tokens", default=16, type=click.IntRange(1), show_default=True, help="The longest answer.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the table there, whole or not at all.")
@click.pass_context
def bench(
    context: click.Context,
    /,
    case: str,
    rounds: int,
    calls: int,
    concurrency: int,
    prompt: str,
    **request: Any,
) -> NoReturn:
    """Compare two ways to serve MODEL, in turn: QPS, latencies, and the gain with its confidence.

    CASE is `pinned` (a model that is unloaded between calls, against one that is pinned), `aligned` (clients whose
    num_ctx differ, against clients that agree) or `servers` (two servers, whatever makes them differ). It loads, pins
    and unloads the model, and leaves it as it was found. Exit codes: 0 measured, 2 it could not be.
    """
    from ollama_policy.bench.command import Request, run
    from ollama_policy.bench.measuring import Plan
    from ollama_policy.bench.sides import Case

    plan = Plan(rounds=rounds, calls=calls, concurrency=concurrency, prompt=prompt)
    context.exit(run(Request(Case(case), plan=plan, **request)))


@cli.command()
@click.argument("sources", nargs=-1, type=click.Path())
@_ACTED_ON
@_CA_FILE
@_PLAN
@click.option("--undeclared", is_flag=True, help="Free what no declaration in SOURCES names, too.")
@click.option("--reload", "reloaded", metavar="NAME", multiple=True, help="Unload and load this model; nothing else.")
@click.option("--yes", is_flag=True, help="Do not ask. Without it, and without a terminal, nothing is freed.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How.")
@click.pass_context
def reclaim(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    host: str | None,
    ca_file: str | None,
    is_dry: bool,
    undeclared: bool,
    reloaded: tuple[str, ...],
    yes: bool,
    form: str,
) -> NoReturn:
    """Free memory that a server holds for nobody, without a restart of it.

    That are orphans, whose model was deleted or replaced while in memory; what SOURCES declare not to be in memory; and
    on the server's own machine runner processes whose server was killed, those of your own user. With --reload it is
    what the runners of named models have grown by: each is loaded again, pinned if it was. Exit codes: 0 nothing to
    free or all freed, 1 something is left, 2 it could not be looked at.
    """
    import sys

    from ollama_policy.reaching import named_connection
    from ollama_policy.reclaiming.command import Request, run

    def confirm() -> bool:
        return click.confirm("Free it?", err=True)

    reached = named_connection(host, ca_file, "models are unloaded")
    ask = confirm if sys.stdin.isatty() else None
    if reloaded:
        from ollama_policy.reclaiming import reloading

        if sources or undeclared:
            raise CannotLookError("--reload reloads the models that it names: give it without SOURCES and --undeclared")
        context.exit(reloading.run(reloading.Request(reloaded, reached, yes, is_dry, form), ask))
    context.exit(run(Request(sources, reached, undeclared, yes, is_dry, form), ask))


@cli.command()
@click.argument("file", required=False, type=click.Path())
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on as the log grows: one event a line, until Ctrl-C.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option("--fail-on", type=_SEVERITIES, default="warning", help="The lowest severity that fails.")
@click.option(
    "--slow", "slow_seconds", metavar="SECONDS", type=click.FloatRange(0), default=60, help="When a call is slow."
)
@click.option("--models", metavar="FOLDER", type=click.Path(), help="Name models by the manifests in OLLAMA_MODELS.")
@click.option("--host", metavar="URL", help="Name models in memory by what that server's /api/ps says.")
@click.option("--threshold", metavar="PERCENT", type=click.FloatRange(1, 100), help="Watch this machine's memory.")
@click.pass_context
def logs(context: click.Context, /, file: str | None, **request: Any) -> NoReturn:
    """Tell what a server's log says of memory, model by model; `-` is standard input.

    FILE is what `ollama serve`, docker, a CRI or `journalctl -u ollama -o short|json|export` wrote. With --threshold,
    `ERROR: Memory usage exceeds threshold. Current memory usage: N%` is written each time that the memory of the whole
    machine rises to PERCENT, after it was 5 below; without FILE nothing else is.
    """
    from ollama_policy.logs.command import Request, run

    context.exit(run(Request(file, **request)))


@cli.command()
@click.argument("sources", nargs=-1, type=click.Path())
@_HOST
@_CA_FILE
@_PLAN
@click.option("--model", metavar="NAME", help="Call it, and draw its memory and the calls.")
@click.option("--calls", default=60, type=click.IntRange(1, 100_000), show_default=True, help="How many.")
@click.option("--from", "from_file", metavar="PROBE.json", type=click.Path(), help="Draw what `probe` measured.")
@click.option("--bench", "bench_file", metavar="BENCH.json", type=click.Path(), help="Show what `bench` measured, too.")
@click.option("--format", "form", type=click.Choice(["html", "svg", "markdown"]), default="html", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.pass_context
def report(
    context: click.Context,
    /,
    calls: int,
    **request: Any,
) -> NoReturn:
    """Write one page of memory, calls, architecture, findings and remedies of a server; it needs no network to read.

    SOURCES are checked, and compared with the server. With --model the model is loaded, called and unloaded; without
    it, and with --from, the server is only read. Exit codes: 0 nothing found, 1 a finding or a leak, 2 something could
    not be looked at.
    """
    from ollama_policy.probe.probing import Plan
    from ollama_policy.report.command import Request, run

    context.exit(run(Request(plan=Plan(calls=calls), **request)))


@cli.command()
@click.argument("sources", nargs=-1, type=click.Path())
@_HOST
@_CA_FILE
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", help="How.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the report there, whole or not at all.")
@click.option(
    "--apply-to",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="Write the checker's safe fixes into this file, and show the diff; once for each file.",
)
@click.option(
    "--cache-ram", "cache_mib", metavar="MIB", type=click.IntRange(0), default=512, help="The prompt cache to propose."
)
@click.pass_context
def remedies(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    host: str | None,
    ca_file: str | None,
    form: str,
    output: str | None,
    apply_to: tuple[str, ...],
    cache_mib: int,
) -> NoReturn:
    """Tell what would give memory back on a server, by how many bytes, at which cost and risk, and how to do it.

    SOURCES are the declarations of its models, and of the server itself. The server is only read. Exit codes: 0 nothing
    is recommended, 1 something is, 2 it could not be looked at.
    """
    from ollama_policy.reaching import connection
    from ollama_policy.remedies.command import Request, run

    context.exit(run(Request(sources, connection(host, ca_file), form, output, apply_to, cache_mib)))


@cli.command()
@_PATHS
@click.option("--host", "hosts", metavar="URL", multiple=True, help="A server, as in OLLAMA_HOST; any number of times.")
@_CA_FILE
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
    from ollama_policy.fit.command import Request, run
    from ollama_policy.fit.settings import Given

    request = Request(paths, hosts, ca_file, Given(**given), form, output, from_file, record, asks_registries)
    context.exit(run(request._replace(fit_params=fit_params, fails_on_growth=fail_on == "growth")))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of a shell: `eval "$(ollama-policy completion bash)"`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    try:
        source = found(cli, {}, "ollama-policy", COMPLETION_VARIABLE).source()
    except RuntimeError as error:  # a bash that is too old for it
        raise CannotLookError(str(error)) from None
    click.echo(source)


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
