"""The command `check`, without the command line: a request in, a report out, an exit code back."""

# Each step imports what it needs, and pathlib costs the start 5 ms.
# ruff: noqa: PLC0415

import gc
import os
import sys
from typing import TYPE_CHECKING, Final

from ollama_policy.errors import CannotLookError
from ollama_policy.live.options import Request, options_of
from ollama_policy.text.terminal import STDIN, deliver, terminal

if TYPE_CHECKING:
    from ollama_policy.model.result import Result
    from ollama_policy.pipeline.check import Options

SAFE: Final = (
    "A fix is safe if it changes only what the finding is about, leaves nothing that an apply or Ollama refuses and "
    "did not refuse before, and says in its title what it does to memory."
)


def run(request: Request) -> int:
    """Checks, reports, and gives the exit code. Raises CannotLookError."""
    gc.set_threshold(300_000, 50, 50)  # a run makes much that lives to its end, and hardly a cycle
    from ollama_policy.formats import Format, render
    from ollama_policy.formats.writing import Look
    from ollama_policy.model.rule import Severity

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
    from ollama_policy.errors import UnreadableError
    from ollama_policy.pipeline.check import check

    try:
        if not request.does_fix and not request.shows_diff:
            return check(request.paths, options)
        from ollama_policy.pipeline.fixing import ChangedMeanwhileError, fix

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


def _with_stdin(request: Request) -> tuple[Request, dict[str, bytes]]:
    if request.stdin_filename is None:
        raise CannotLookError("`-` needs --stdin-filename: a file's name says what it is")
    if request.does_fix:
        raise CannotLookError("--fix cannot write to standard input: use --diff")
    from ollama_policy.pipeline.discover import normal
    from ollama_policy.pipeline.regular_files import MAX_BYTES

    name = normal(request.stdin_filename)
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    paths = [name if path == STDIN else path for path in request.paths]
    return request._replace(paths=paths), {name: data}
