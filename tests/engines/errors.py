"""What goes wrong with the tests' own tools."""

from __future__ import annotations


class ToolchainError(Exception):
    """A tool can be neither found nor built; the text says what to do, in one line where it can."""


class EngineError(Exception):
    """A real engine did not do what the toolkit asked of it; the text ends with what the engine said."""
