"""The command `drift`, without the command line: a request in, a report out, an exit code back."""

# ruff: noqa: PLC0415 - a run from a file needs no client of servers, a run without a terminal no table

import sys

from ollama_policy.commands.drift.session import Request, Session
from ollama_policy.errors import CannotLookError
from ollama_policy.formats import Format, render
from ollama_policy.formats.writing import Look
from ollama_policy.live import snapshot
from ollama_policy.text.terminal import STDIN, deliver, terminal
from ollama_provider.ollama import durations

_LARGEST_SNAPSHOT = 256 * 2**20


def run(request: Request) -> int:
    """Looks, judges, reports, and gives the exit code. Raises CannotLookError."""
    if request.from_file is not None and (request.hosts or request.hosts_file or request.fleet or request.does_watch):
        raise CannotLookError("--from judges what was recorded: give it, or servers to look at and --watch")
    seconds = _seconds(request.timeout)
    session = Session(request, seconds)
    if request.does_watch:
        from ollama_policy.commands.drift.watch import watch

        return watch(session, request.interval)
    servers = session.recorded(request.from_file) if request.from_file is not None else session.look()
    if request.record is not None:
        deliver(snapshot.to_json(servers), None if request.record == STDIN else request.record)
    result = session.judged(servers)
    to_stderr = request.record == STDIN and request.output is None
    has_colour, has_links = terminal(None if request.output is not None or to_stderr else sys.stdout)
    look = Look(has_colour, has_links, request.is_verbose)
    report = render(Format(request.form), result, look)
    are_ours = request.form == Format.GITHUB
    deliver(report, request.output, are_ours=are_ours, stream=sys.stderr if to_stderr else sys.stdout)
    if not result.servers:
        sys.stderr.write("no server to look at: give --host, or PATHS that declare models\n")
    return session.exit_code(result)


def _seconds(timeout: str) -> float:
    try:
        seconds = durations.seconds(timeout)
    except durations.InvalidDurationError as error:
        raise CannotLookError(f"--timeout {timeout} is not a duration: {error}") from None
    if seconds <= 0:
        raise CannotLookError(f"--timeout {timeout}: expected a duration over zero")
    return seconds
