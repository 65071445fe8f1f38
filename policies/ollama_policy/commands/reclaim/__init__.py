"""Freeing memory that nobody wants used. `plan` is pure; `looking` and `freeing` ask the server."""
