"""What keeps a run from its end, in words for the person who asked."""


class CannotLookError(Exception):
    """Something that keeps the whole run from looking, in words for the person who asked."""


class OutputClosedError(Exception):
    """Whoever read the output has seen enough. No OSError: it is nobody's failure to write a file."""


class UnreadableError(Exception):
    """A file that a source should read and cannot: `what` was found, `expected` was meant, at a byte offset."""

    def __init__(self, offset: int, what: str, expected: str = "") -> None:
        super().__init__(f"{what}, expected {expected}" if expected else what)
        self.offset = offset


class TooLargeError(UnreadableError):
    """A file whose reading would take more work than a file of its size is worth: what it says is not decided."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(offset, f"too large to decide: {why}")
