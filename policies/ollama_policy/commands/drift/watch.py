"""A table of servers and their models that is drawn anew at every look, until Ctrl-C. For terminals alone."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from ollama_policy.commands.drift.session import Session
from ollama_policy.errors import CannotLookError
from ollama_policy.formats.text import summary
from ollama_policy.formats.writing import Look
from ollama_policy.live.snapshot import NoAnswer, Server, ServerState
from ollama_policy.model.result import Result
from ollama_policy.model.rule import Severity
from ollama_policy.text.escaping import shown
from ollama_policy.text.terminal import terminal
from ollama_provider.ollama import durations
from ollama_provider.ollama.sizes import text_of

_BEGIN, _END = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # another screen, without a cursor; and back
_COLOURS: Final = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
_DIM, _BOLD, _GREEN = "2", "1", "32"


def watch(session: Session, interval: float) -> int:
    """Looks and draws forever; KeyboardInterrupt ends it, and leaves the terminal as it was."""
    if not sys.stdout.isatty():
        raise CannotLookError("--watch draws in a terminal: for a file or a pipe, run without it")
    out = sys.stdout
    has_colour, _ = terminal(out)
    out.write(_BEGIN)
    try:
        while True:
            servers = session.look()
            result = session.judged(servers)
            columns, rows = os.get_terminal_size(out.fileno())  # both are 0 where nobody told the terminal
            out.write(frame(servers, result, columns or 80, rows or 24, has_colour=has_colour))
            out.flush()
            time.sleep(interval)
    finally:
        out.write(_END)
        out.flush()


def frame(servers: Sequence[Server], result: Result, columns: int, rows: int, *, has_colour: bool) -> str:
    """One whole picture: each line cut at the terminal's width, and cleared behind; the rest of the screen empty."""
    lines = list(_lines(servers, result, min(max(columns - 34, 12), 60)))
    last = [(summary(result, Look()), _BOLD), (f"{time.strftime('%H:%M:%S')}, Ctrl-C ends", _DIM)]
    room = max(rows - len(last), 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], (f"and {len(lines) - room + 1} lines more", _DIM)]
    painted = [_painted(shown(text)[:columns], colour, has_colour) for text, colour in [*lines, *last]]
    return "\x1b[H" + "\x1b[K\r\n".join(painted) + "\x1b[K\x1b[J"


def _painted(text: str, colour: str, has_colour: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and has_colour else text


def _lines(servers: Sequence[Server], result: Result, width: int) -> Iterator[tuple[str, str]]:
    yield f"{'MODEL':{width}} {'MEMORY':>10} {'CONTEXT':>8} {'RELEASED IN':>12}", _DIM
    urls = {server.url for server in servers}
    for problem in result.unreadable:
        if problem.path not in urls:
            yield f"{problem.path}  {problem.message}", _COLOURS[Severity.ERROR]
    for server in servers:
        if isinstance(server, NoAnswer):
            yield f"{server.url}  {server.problem}", _COLOURS[Severity.ERROR]
            continue
        figures = next(one for one in result.servers if one.url == server.url)
        drifts = sum(figures.drift.values())
        state = f"{drifts} drifts" if drifts else "as declared"
        yield f"{server.url}  Ollama {server.version}  {text_of(figures.memory_bytes)} in memory  {state}", _BOLD
        yield from _models(server, width)
        for reported in result.findings:
            finding = reported.finding
            if finding.file.path == server.url or finding.value.endswith(f" at {server.url}"):
                yield f"  {finding.rule.id} {finding.message}", _COLOURS[reported.severity]


def _models(server: ServerState, width: int) -> Iterator[tuple[str, str]]:
    running = server.running
    for model in sorted(running.models, key=lambda model: str(model.name)):
        left = round(running.left_of(model).total_seconds())
        released = "never" if running.is_pinned(model) else durations.text(max(left, 0) * durations.NANOSECONDS["s"])
        name = f"  {model.name}"[:width]
        yield f"{name:{width}} {text_of(model.size):>10} {model.context_length:>8} {released:>12}", ""
    if not running.models:
        yield "  nothing in memory", _DIM
