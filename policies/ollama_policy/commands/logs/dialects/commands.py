"""What the command of a runner says of the load: its model, and for llama-server its context."""

import re
from typing import Final, NamedTuple

_MODEL: Final = re.compile(r" --model (.{1,2000}?)(?= --|$)")
_CONTEXT: Final = re.compile(r" -c (\d{1,12})(?= |$)")
_PORT: Final = re.compile(r" --port \d{1,5}(?= |$)")
_PARALLEL: Final = re.compile(r" -np (\d{1,6})(?= |$)")


class Command(NamedTuple):
    """`context` is that of one call, 0 where the command has none; `options` is all of it but the port."""

    path: str
    context: int
    parallel: int
    options: str


def load_of(command: str) -> Command | None:
    """None where it loads no model."""
    found = _MODEL.search(command)
    if found is None:
        return None
    context, parallel = _CONTEXT.search(command), _PARALLEL.search(command)
    slots = max(1, int(parallel[1])) if parallel else 1
    return Command(found[1], int(context[1]) // slots if context else 0, slots, _PORT.sub("", command)[:4096])
