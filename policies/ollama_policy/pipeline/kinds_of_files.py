"""Which sources a file is for, by its name and by what stands in it."""

# pathlib costs the start 5 ms, and a long walk much more.
# ruff: noqa: PTH123

import re
from functools import cache

from ollama_policy.pipeline.regular_files import CHUNK, read_regular
from ollama_policy.sources import SOURCES, Registered, lowered_if_mentioned


@cache
def by_suffix() -> dict[str, tuple[Registered, ...]]:
    suffixes = sorted({suffix for source in SOURCES for suffix in source.suffixes})
    return {suffix: tuple(source for source in SOURCES if suffix in source.suffixes) for suffix in suffixes}


@cache
def _any_name() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{source.names})" for source in SOURCES if source.names) or r"(?!)")


# A file with one of these suffixes may still be told by the rest of its name, such as `main.tf.json`.
_OPEN_SUFFIXES = frozenset((".json", ".j2", ".tpl"))


def sources_of(name: str) -> tuple[Registered, ...]:
    """The sources that files of this name may belong to, in the registry's order."""
    name = name.lower()
    dot = name.rfind(".")
    suffix = name[dot:] if dot > 0 else ""
    claiming = by_suffix().get(suffix, ())
    if (claiming and suffix not in _OPEN_SUFFIXES) or _any_name().fullmatch(name) is None:
        return claiming
    return tuple(
        source for source in SOURCES if source in claiming or (source.names and re.fullmatch(source.names, name))
    )


def is_other(path: str) -> bool:
    """Whether there is certainly nothing to look at, and nothing to say, in a file: text that mentions nothing."""
    try:
        data = read_regular(path)
    except (OSError, ValueError):
        return False
    if not data or b"\0" in data or "." not in path.rpartition("/")[2]:
        return False
    return lowered_if_mentioned(data) is None and not is_about(path)


def is_about(path: str) -> bool:
    """Whether a file's or its folder's name is about Ollama: `ollama.service.d/override.conf` need not say it again."""
    folder, _, name = path.lower().rpartition("/")
    return "ollama" in name or "ollama" in folder.rpartition("/")[2]


def mentions(path: str) -> bool:
    """Whether a file that is too large to be read mentions Ollama, read a piece at a time."""
    try:
        with open(path, "rb") as stream:
            tail = b""
            while chunk := stream.read(CHUNK):
                if lowered_if_mentioned(tail + chunk) is not None:
                    return True
                tail = chunk[-32:]
    except OSError:
        return True
    return False
