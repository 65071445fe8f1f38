"""What is written to standard output and standard error beside reports: messages, progress, questions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ollama_policy.errors import OutputClosedError
from ollama_policy.text.escaping import without_commands


@contextmanager
def to_a_reader() -> Iterator[None]:
    """Tells a reader that went away from all that may be wrong with a file."""
    try:
        yield
    except BrokenPipeError:
        raise OutputClosedError from None


class Harmless:
    """A stream in which no text is a command to a CI runner. Bytes go through its `buffer` as they are.

    Raises OutputClosedError.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begins_line = True

    def write(self, text: str) -> int:
        with to_a_reader():
            self._stream.write(without_commands(text) if self._begins_line else without_commands("x" + text)[1:])
        line = text[max(text.rfind("\n"), text.rfind("\r")) + 1 :]
        self._begins_line = (self._begins_line or len(line) < len(text)) and not line.strip()
        return len(text)

    def flush(self) -> None:
        with to_a_reader():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
