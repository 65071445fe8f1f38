"""What a run shows on a terminal while it works, and how its report leaves it."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

from ollama_policy.errors import CannotLookError

STDIN: Final = "-"


def terminal(stream: Any) -> tuple[bool, bool]:
    """Whether there are colours, and links.

    NO_COLOR wins over all; FORCE_COLOR and CLICOLOR_FORCE colour what is not a terminal, too (no-color.org,
    force-color.org, bixense.com/clicolors).
    """
    is_terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    if os.environ.get("NO_COLOR"):
        return False, is_terminal
    is_forced = any(os.environ.get(name, "") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))
    return is_terminal or (is_forced and stream is not None), is_terminal


def status_line() -> Callable[[str], None] | None:
    """What shows one line on a terminal, over the last one; None where no person looks."""
    if not sys.stderr.isatty():
        return None

    def show(text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    return show


def progress() -> Callable[[int, int], None]:
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
    from ollama_policy.text.escaping import without_commands  # noqa: PLC0415 - as below

    text = without_commands(text, are_ours=are_ours)
    data = text.encode("utf-8", "backslashreplace")
    if output is None:
        from ollama_policy.text.streams import to_a_reader  # noqa: PLC0415

        stream = stream or sys.stdout
        with to_a_reader():
            stream.flush()
            stream.buffer.write(data)
            stream.flush()
        return
    from ollama_provider.files.atomic import write_whole  # noqa: PLC0415

    try:
        write_whole(output, data)
    except OSError as error:
        raise CannotLookError(f"cannot write {output}: {error.strerror}") from None
