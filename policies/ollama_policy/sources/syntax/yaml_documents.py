"""The documents of a YAML file, or the place where it does not parse."""

import gc
import re
from functools import cache
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_text import Ranges, Text

_EXPECTED: Final = re.compile(r"(?:did not find|could not find) expected (.*)|found undefined (alias)")


@cache
def _loader() -> Any:
    from yaml._yaml import CParser  # noqa: PLC0415 - 20 ms that only YAML files need

    class Loader(CParser):
        """Composes nodes; leaves what a plain scalar means to whoever asks."""

        def __init__(self, data: bytes) -> None:
            CParser.__init__(self, data)

        def resolve(self, kind: object, value: object, implicit: object) -> str:
            return ""

        def descend_resolver(self, *_: object) -> None: ...

        def ascend_resolver(self, *_: object) -> None: ...

    return Loader


def documents(
    data: bytes, base_offset: int = 0, original: bytes | None = None, actions: Ranges = (), gaps: Ranges = ()
) -> list[Node]:
    """The roots of a text's documents; empty ones are left out.

    `base_offset` is added to every place, for a text that is part of a file. `original` is what the file holds where
    `data` has other bytes in the place of a template's `actions`, which are the ranges of these, in order; `gaps` are
    those of them that decide more than a value. Raises UnreadableError, with the place.
    """
    from yaml import YAMLError  # noqa: PLC0415

    text = Text(data, base_offset, original, actions, gaps)
    roots = []
    is_collecting = gc.isenabled()
    gc.disable()  # nothing here is garbage yet, and looking for it takes four fifths of the time on a large file
    try:
        loader = _loader()(data)
        while loader.check_node():
            root = loader.get_node()
            if root is not None and not (root.id == "scalar" and root.value == "" and not root.style):
                roots.append(Node(text, root))
    except YAMLError as error:
        raise _unreadable(error, text) from None
    finally:
        if is_collecting:
            gc.enable()
    return roots


def _unreadable(error: Any, text: Text) -> UnreadableError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        at = min(int(getattr(error, "position", 0)), len(text.data))
        return UnreadableError(text.base + at, "a control character", "text")
    at = min(text.byte(mark.index), len(text.data))
    problem = str(getattr(error, "problem", None) or getattr(error, "context", None) or "no YAML")
    match = _EXPECTED.fullmatch(problem)
    if match is None:
        return UnreadableError(text.base + at, problem)
    if match[2]:
        name = text.data[at : at + 40].split(maxsplit=1)
        return UnreadableError(text.base + at, f"the alias {name[0].decode('utf-8', 'replace')!r} of no anchor")
    line = text.data[at : at + 40].split(b"\n", 1)[0].split()
    what = repr(line[0].decode("utf-8", "replace")) if line else "the end of the line"
    if not text.data[at:].strip():
        what = "the end of the text"
    return UnreadableError(text.base + at, what, match[1].strip("'") if match[1].startswith("<") else match[1])
