"""Writing the safe fixes of the checker into given files: all of them or none, and nothing else."""

# pathlib costs the start 5 ms.
# ruff: noqa: PTH112, PTH113, PTH114

import os
from collections.abc import Sequence

from ollama_policy.errors import CannotLookError
from ollama_policy.pipeline.check import Options
from ollama_policy.pipeline.fixing import ChangedMeanwhileError, Fixed, fix
from ollama_policy.text.escaping import shown, shown_path
from ollama_provider.files.atomic import write_whole


def planned(files: Sequence[str], options: Options) -> Fixed:
    """The edits, not yet written. Raises CannotLookError where a file is none, or cannot be read."""
    for path in files:
        if os.path.islink(path) or not os.path.isfile(path):
            what = "a link" if os.path.islink(path) else "a folder" if os.path.isdir(path) else "not there"
            raise CannotLookError(f"--apply-to {shown_path(path)}: it is {what}, expected a file; nothing was written")
    fixed = fix(files, options)
    if fixed.result.unreadable:
        first = fixed.result.unreadable[0]
        raise CannotLookError(f"{shown_path(first.path)}: {shown(first.message)}; nothing was written")
    return fixed


def apply(fixed: Fixed) -> None:
    """Writes them. Where one file cannot be written those before it are put back. Raises CannotLookError."""
    before = dict(fixed.before)
    try:
        fixed.write()
    except ChangedMeanwhileError as error:
        _put_back(fixed, before)
        raise CannotLookError(f"{shown_path(str(error))} was changed meanwhile; nothing was written") from None
    except OSError as error:
        _put_back(fixed, before)
        raise CannotLookError(f"cannot write {error.filename}: {error.strerror}; nothing was written") from None


def _put_back(fixed: Fixed, before: dict[str, bytes]) -> None:
    for path, data in fixed.after.items():
        try:
            with open(path, "rb") as stream:  # noqa: PTH123
                is_written = stream.read() == data
            if is_written:
                write_whole(path, before[path])
        except OSError as error:
            raise CannotLookError(f"cannot put back {shown_path(path)}: {error.strerror}") from None
