"""What every writer may know beside the result."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ollama_policy.model.settings import Position, SourceFile


class Look(NamedTuple):
    """How a report is to look. Colour and links are for terminals only."""

    has_colour: bool = False
    has_links: bool = False
    is_verbose: bool = False


def tool_version() -> str:
    """The version of this package."""
    from importlib.metadata import version  # noqa: PLC0415 - costs 20 ms to those who do not ask

    return version("ollama-iac")


def place_of(file: "SourceFile", start: "Position") -> str:
    """`models.tf:3:23`, or the address of what is not a file."""
    return f"{file.path}:{start.line}:{start.column}" if file.is_file else file.path


def many(count: int, noun: str) -> str:
    """A count with its noun: `1 error`, `2 errors`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
