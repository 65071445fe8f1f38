"""Syntax trees of Bash and Nix, in bounded time: on hostile text the recovery from errors takes time by its square."""

import time
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

from ollama_policy.settings import UnreadableError

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Point

SECONDS: Final = 5.0  # a real file of 100 kB takes less than 0.1


@cache
def _language(name: str) -> "Language":
    from tree_sitter import Language  # noqa: PLC0415 - only where a grammar is needed

    return Language(import_module(f"tree_sitter_{name}").language())


def parse(grammar: Literal["bash", "nix"], data: bytes) -> "Node":
    """The root of a text's tree, which has errors where it does not parse. Its nodes have no `text`.

    Raises UnreadableError where that takes longer than SECONDS.
    """
    from tree_sitter import Parser  # noqa: PLC0415

    reached = 0
    deadline = time.monotonic() + SECONDS

    def rest(offset: int, _: "Point") -> bytes:
        return data[offset:]

    def is_late(offset: int, _: bool) -> bool:
        nonlocal reached
        reached = offset
        return time.monotonic() > deadline

    try:
        tree = Parser(_language(grammar)).parse(rest, progress_callback=is_late)
    except ValueError:
        tree = None
    if tree is None:
        raise UnreadableError(min(reached, len(data)), "text that cannot be parsed in reasonable time")
    return tree.root_node
