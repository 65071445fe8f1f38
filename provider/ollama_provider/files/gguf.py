"""The local file that a model is made from, and those beside it where it is split: what they are, by their headers.

A model may be split into files named `PREFIX-00001-of-00003.gguf`, as llama.cpp does; the keys `split.count` and
`split.no` of each header say so too. Ollama 0.34.3 takes those names only (server/create_split_gguf.go), and at most
1024 files (server/create.go:54).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ollama_provider.ollama.gguf_header import InvalidGgufError, TruncatedGgufError, read_header

_MAGIC: Final = b"GGUF"
_SPLIT_NAME: Final = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})\.gguf", re.DOTALL)
_MOST_PARTS: Final = 1024
# By `general.type`: what no model can be made of alone.
_NO_MODELS: Final = {
    "adapter": "a LoRA adapter, which changes a model and isn't one: merge it into the model's own GGUF",
    "mmproj": "a projector, which adds images or sound to a model and isn't one",
    "projector": "a projector, which adds images or sound to a model and isn't one",
    "imatrix": "an importance matrix for the making of models, and no model",
}


def is_missing(path: Path) -> bool:
    """Whether nothing is there. What is there and cannot be read is not missing: `why_no_model` says what it is."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def why_no_model(path: Path) -> str | None:
    """Why no model can be made of a file, or None where one can, as far as its header says."""
    return _why_no_gguf(path) or _why_no_model(path)


def parts(path: Path) -> tuple[Path, ...]:
    """All files of the model whose first file this is, in order.

    A file that is not there counts as one alone, and so does one of more than Ollama takes: `why_no_model` says that.
    """
    if is_missing(path) or not 1 < (count := _split_count(path)) <= _MOST_PARTS:
        return (path,)
    return tuple(_part(path, number, count) for number in range(1, count + 1))


def is_split_name(name: str) -> bool:
    """Whether a file's name says that it is one of several; only its header can tell whether it is."""
    return _SPLIT_NAME.fullmatch(Path(name).name) is not None


def _why_no_gguf(path: Path) -> str | None:
    """By its first four bytes."""
    try:
        if path.exists() and not path.is_file():
            return "it is not a regular file"
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)  # a NUL character
    if not head:
        return "the file is empty"
    return None if head == _MAGIC else "the file does not begin with the letters GGUF"


def _why_no_model(path: Path) -> str | None:
    metadata = _header(path)
    if isinstance(metadata, str):
        return metadata
    if isinstance(what := metadata.get("general.type"), str) and what in _NO_MODELS:
        return f"the file is {_NO_MODELS[what]}"
    if metadata.get("general.architecture") == "clip":
        return f"the file is {_NO_MODELS['projector']}"
    return _why_no_split(path) if _split_count(path) > 1 else None


def _why_no_split(path: Path) -> str | None:
    count, name = _split_count(path), _SPLIT_NAME.fullmatch(path.name)
    if count > _MOST_PARTS:
        return f"the file is one of {count}, and Ollama takes a model of {_MOST_PARTS} at most"
    if name is None or int(name[3]) != count:
        return f"the file is one of {count}, and Ollama takes them by names such as model-00001-of-{count:05}.gguf only"
    if int(name[2]) != 1:
        return f"the file is number {int(name[2])} of {count}: give the first, {_part(path, 1, count).name}"
    for number, part in enumerate(parts(path), start=1):
        if why := _why_no_gguf(part):
            return f"the file is the first of {count}, and of {part.name} beside it: {why}"
        found = _metadata(part)
        if (found.get("split.count"), found.get("split.no")) != (count, number - 1):
            return f"the file is the first of {count}, and {part.name} beside it is not number {number} of them"
    return None


def _part(path: Path, number: int, count: int) -> Path:
    name = _SPLIT_NAME.fullmatch(path.name)
    return path.with_name(f"{name[1] if name else path.stem}-{number:05}-of-{count:05}.gguf")


def _split_count(path: Path) -> int:
    count = _metadata(path).get("split.count")
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 1 else 1


def _metadata(path: Path) -> Mapping[str, Any]:
    """Empty where the header cannot be read: what Ollama makes of such a file, it says itself."""
    found = _header(path)
    return {} if isinstance(found, str) else found


def _header(path: Path) -> Mapping[str, Any] | str:
    """The keys of a header, or why the file is not whole."""
    try:
        stat = path.stat()
        return _header_of(path, stat.st_size, stat.st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=4096)
def _header_of(path: Path, size: int, mtime_ns: int) -> Mapping[str, Any] | str:
    """Read once for a file as it is: a vocabulary has a hundred thousand entries to be passed over."""
    with path.open("rb") as file:
        try:
            header = read_header(file)
        except TruncatedGgufError:
            return f"the file is not complete: it ends within its header, after {size:,} bytes"
        except InvalidGgufError:
            return {}
    if size < header.length:
        return f"the file is not complete: it has {size:,} bytes of {header.length:,}"
    return header.metadata
