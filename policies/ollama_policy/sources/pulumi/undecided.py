"""What is not decided, and why."""


class UndecidedError(Exception):
    """The value cannot be known by reading; the message is the reason."""
