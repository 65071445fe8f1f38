"""Syntax trees of Bash and Nix, by a budget: on hostile text the recovery from errors takes time by its square.

A part of that recovery asks nobody whether to go on (20 KB of `a | ` take 0.7 s, 80 KB 12 s). So a longer text is
tried in a process of its own first, which ends with its processor time.
"""

import os
import signal
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

from ollama_policy.errors import TooLargeError

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Point

# A parser reads a text in pieces, and one of them again where it looks ahead and comes back. A real file is read one
# and a half times, with a step (a hundred of the parser's own operations) for some 100 bytes.
_PIECE: Final = 4096
_LEAST_PIECES: Final = 500
_BYTES_OF_PIECE: Final = 64
_LEAST_STEPS: Final = 1000
_TRIED: Final = 16 * 1024  # bytes, from which on a text is tried
_SECONDS: Final = 0.25  # of processor time for a trial, and for each megabyte of its text; a real one takes 0.3
_SECONDS_OF_MEGABYTE: Final = 3.0
_LONGEST: Final = 120.0  # seconds of a trial that gets no processor
_WHY: Final = "the text cannot be parsed in reasonable time"


@cache
def _language(name: str) -> "Language":
    from tree_sitter import Language  # noqa: PLC0415 - only where a grammar is needed

    return Language(import_module(f"tree_sitter_{name}").language())


def parse(grammar: Literal["bash", "nix"], data: bytes) -> "Node":
    """The root of a text's tree, which has errors where it does not parse. Its nodes have no `text`.

    Raises TooLargeError where the parser reads the text, or goes through it, many times.
    """
    if len(data) > _TRIED and hasattr(os, "fork") and not _ends(grammar, data):
        raise TooLargeError(0, _WHY)
    return _parsed(grammar, data)


def _ends(grammar: str, data: bytes) -> bool:
    """Whether a parser comes to an end with a text, by its budget or before it."""
    child = os.fork()
    if child == 0:
        try:
            for timer in (signal.SIGPROF, signal.SIGALRM):
                signal.signal(timer, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, _SECONDS + _SECONDS_OF_MEGABYTE * len(data) / 2**20)
            signal.setitimer(signal.ITIMER_REAL, _LONGEST)
            _parsed(grammar, data)
        finally:
            os._exit(0)  # with a budget that is spent, too: the caller sees that again, with the place
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)


def _parsed(grammar: str, data: bytes) -> "Node":
    from tree_sitter import Parser  # noqa: PLC0415

    reached = 0
    pieces, steps = _LEAST_PIECES + len(data) // _BYTES_OF_PIECE, _LEAST_STEPS + len(data)

    def piece(offset: int, _: "Point") -> bytes:
        nonlocal pieces
        pieces -= 1
        return data[offset : offset + _PIECE]

    def is_over(offset: int, _: bool) -> bool:
        nonlocal reached, steps
        reached = offset
        steps -= 1
        return pieces < 0 or steps < 0

    try:
        tree = Parser(_language(grammar)).parse(piece, progress_callback=is_over)
    except ValueError:
        tree = None
    if tree is None:
        raise TooLargeError(min(reached, len(data)), _WHY)
    return tree.root_node


def first_error(root: "Node") -> int:
    """The place of the first error."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            return node.start_byte
        pending += [child for child in reversed(node.children) if child.has_error or child.is_missing]
    return 0
