"""Names that only look like a kind of file."""

from typing import Final

ABOUT: Final = (".md", ".mdx", ".rst", ".adoc", ".html", ".go", ".py", ".rs", ".js", ".ts", ".tsx")
"""How pages about a kind of file, and programs that handle it, end: `Dockerfile.md`, `modelfile.go`."""
