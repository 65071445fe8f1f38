"""The command `check`, without the command line: a request in, a report out, an exit code back."""

# Each step imports what it needs, and pathlib costs the start 5 ms.
# ruff: noqa: PLC0415

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

if TYPE_CHECKING:
    from ollama_policy.check import Options, Progress
    from ollama_policy.configuration import Configuration
    from ollama_policy.result import Result
    from ollama_policy.rules.rule import Rule
    from ollama_policy.settings import SourceFile

STDIN = "-"
SAFE = (
    "A fix is safe if it changes only what the finding is about, leaves nothing that an apply or Ollama refuses and "
    "did not refuse before, and says in its title what it does to memory."
)


class CannotLookError(Exception):
    """Something that keeps the whole run from looking, in words for the person who asked."""


class Request(NamedTuple):
    """What `check` is asked for; the defaults are those of the command line."""

    paths: Sequence[str] = ()
    form: str = "text"
    output: str | None = None
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    is_strict: bool = False
    fail_on: str | None = None
    does_fix: bool = False
    shows_diff: bool = False
    with_unsafe_fixes: bool = False
    fix_with: Sequence[str] = ()
    baseline: str | None = None
    config: str | None = None
    stdin_filename: str | None = None
    target_version: str | None = None
    is_verbose: bool = False


def run(request: Request) -> int:
    """Checks, reports, and gives the exit code. Raises CannotLookError."""
    gc.set_threshold(300_000, 50, 50)  # a run makes much that lives to its end, and hardly a cycle
    from ollama_policy.formats import Format, render
    from ollama_policy.formats.writing import Look
    from ollama_policy.rules.rule import Severity

    if request.fix_with and not request.does_fix and not request.shows_diff:
        raise CannotLookError("--fix-with chooses what --fix writes: give --fix or --diff, too")
    if request.does_fix and request.shows_diff:
        raise CannotLookError("--fix writes and --diff does not: give one of them")
    request = request._replace(paths=request.paths or (os.curdir,))
    overlay: dict[str, bytes] = {}
    if STDIN in request.paths:
        request, overlay = _with_stdin(request)
    options = options_of(request, overlay)
    result = _result(request, options)
    has_colour, has_links = terminal(sys.stdout if request.output is None else None)
    look = Look(has_colour, has_links, request.is_verbose)
    if not request.shows_diff or request.output is not None:
        are_ours = request.form == Format.GITHUB
        deliver(render(Format(request.form), result, look), request.output, are_ours=are_ours)
    if request.output is not None or request.form == Format.GITHUB:
        from ollama_policy.formats.text import summary

        sys.stderr.write(summary(result, look) + "\n")
    fail_on = options.configuration.fail_on if request.fail_on is None else Severity(request.fail_on)
    return result.exit_code(fail_on, request.is_strict or options.configuration.is_strict)


def _result(request: Request, options: "Options") -> "Result":
    from ollama_policy.check import check
    from ollama_policy.settings import UnreadableError

    try:
        if not request.does_fix and not request.shows_diff:
            return check(request.paths, options)
        from ollama_policy.fixing import ChangedMeanwhileError, fix

        fixed = fix(request.paths, options, with_unsafe=request.with_unsafe_fixes)
        if request.shows_diff:
            deliver(fixed.diff(), None)
            return check(request.paths, options)
        try:
            fixed.write()
        except ChangedMeanwhileError as error:
            raise CannotLookError(f"{error} was changed meanwhile, and is left as it is") from None
        except OSError as error:
            raise CannotLookError(f"cannot write {error.filename}: {error.strerror}; {fixed.told()}") from None
    except UnreadableError as error:
        raise CannotLookError(f"{options.baseline.path if options.baseline else ''}: {error}") from None
    sys.stderr.write(fixed.summary() + "\n")
    return fixed.result


def options_of(request: Request, overlay: dict[str, bytes], *, with_baseline: bool = True) -> "Options":
    """The request's rules, configuration and baseline. Raises CannotLookError."""
    from ollama_policy import configuration as settings
    from ollama_policy.check import Options

    try:
        configuration = _configuration(request)
        given = settings.parse({"select": _split(request.select), "ignore": _split(request.ignore)})
        target = configuration.target
        if request.target_version is not None:
            target = target._replace(version=settings.version(request.target_version))
        configuration = configuration._replace(
            select=given.select or configuration.select,
            ignore=(*configuration.ignore, *given.ignore),
            target=target,
            cures=dict(configuration.cures) | dict(map(_cure, request.fix_with)),
        )
        _check_prefixes(configuration)
        if configuration.cures:
            settings.check_cures(configuration.cures, {rule.id: rule.cures for rule in all_rules() if rule.cures})
        if target.snapshot is not None:
            from ollama_policy.fit.least import recorded

            recorded(target.snapshot)  # which says what is wrong with it
    except (settings.ConfigurationError, ValueError) as error:
        raise CannotLookError(str(error)) from None
    from ollama_policy.rules import RULES

    baseline = (request.baseline or configuration.baseline) if with_baseline else None
    return Options(
        rules=RULES,
        configuration=configuration,
        baseline=None if baseline is None else _baseline_file(baseline),
        overlay=overlay,
        progress=progress(),
    )


def all_rules() -> "tuple[type[Rule], ...]":
    """Every rule, the kinds of drift, what logs show and those about the checker's own comments included."""
    from ollama_policy.drift.kinds import KINDS
    from ollama_policy.housekeeping import HOUSEKEEPING
    from ollama_policy.logs.rules import LOG_RULES
    from ollama_policy.rules import RULES

    return (*RULES, *KINDS, *LOG_RULES, *HOUSEKEEPING)


def _cure(text: str) -> tuple[str, str]:
    rule_id, equals, cure = text.partition("=")
    if not equals:
        raise CannotLookError(f"--fix-with {text}: expected the id of a rule and its cure, such as OLL001=keep-alive")
    return rule_id.strip().upper(), cure.strip()


def _check_prefixes(configuration: "Configuration") -> None:
    from ollama_policy import configuration as settings

    if configuration.select or configuration.ignore or configuration.severity or configuration.per_path_ignores:
        settings.check_prefixes(configuration, [rule.id for rule in all_rules()])


def _configuration(request: Request) -> "Configuration":
    from ollama_policy import configuration as settings

    path = request.config or settings.find(request.paths[0])
    return settings.Configuration() if path is None else settings.load(path)


def _baseline_file(path: str) -> "SourceFile":
    from ollama_policy.discover import read_regular
    from ollama_policy.settings import SourceFile

    try:
        data = read_regular(path)
    except (OSError, ValueError) as error:
        raise CannotLookError(f"cannot read the baseline {path}: {getattr(error, 'strerror', error)}") from None
    if data is None:
        raise CannotLookError(f"cannot read the baseline {path}: it is too large")
    return SourceFile(path.replace(os.sep, "/"), data)


def _split(values: Sequence[str]) -> list[str]:
    return [one.strip() for value in values for one in value.split(",") if one.strip()]


def _with_stdin(request: Request) -> tuple[Request, dict[str, bytes]]:
    if request.stdin_filename is None:
        raise CannotLookError("`-` needs --stdin-filename: a file's name says what it is")
    if request.does_fix:
        raise CannotLookError("--fix cannot write to standard input: use --diff")
    from ollama_policy.discover import MAX_BYTES, normal

    name = normal(request.stdin_filename)
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    paths = [name if path == STDIN else path for path in request.paths]
    return request._replace(paths=paths), {name: data}


def terminal(stream: Any) -> tuple[bool, bool]:
    """Whether there are colours, and links."""
    is_terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    return is_terminal and not os.environ.get("NO_COLOR"), is_terminal


def status_line() -> "Callable[[str], None] | None":
    """What shows one line on a terminal, over the last one; None where no person looks."""
    if not sys.stderr.isatty():
        return None

    def show(text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    return show


def progress() -> "Progress":
    """What shows progress to a person who has waited for half a second."""
    say = status_line()
    if say is None:
        return lambda done, total: None
    start = time.monotonic()

    def show(done: int, total: int) -> None:
        if time.monotonic() - start > 0.5:
            say("" if done == total else f"{done:,} of {total:,} files")

    return show


def deliver(text: str, output: str | None, *, are_ours: bool = False, stream: TextIO | None = None) -> None:
    """Writes a report to standard output or `stream`, or to a file whole or not at all. Raises CannotLookError.

    No line of it is a command to a CI runner but those that are meant (`are_ours`).
    """
    from ollama_policy.formats.escaping import without_commands

    text = without_commands(text, are_ours=are_ours)
    data = text.encode("utf-8", "backslashreplace")
    if output is None:
        from ollama_policy.formats.streams import to_a_reader

        stream = stream or sys.stdout
        with to_a_reader():
            stream.flush()
            stream.buffer.write(data)
            stream.flush()
        return
    from ollama_provider.whole_files import write_whole

    try:
        write_whole(output, data)
    except OSError as error:
        raise CannotLookError(f"cannot write {output}: {error.strerror}") from None
