"""Generated from ollama_provider/model.py by `python -m ollama_policy.declaration_table_generator`."""

PROPERTIES = frozenset(
    (
        "name",
        "memory_management",
        "keep_alive",
        "resident",
        "digest",
        "pull_policy",
        "insecure",
        "base",
        "gguf",
        "parameters",
        "system",
        "template",
        "on_destroy",
        "timeouts",
        "host",
    )
)
TEXTS: dict[str, str | None] = {
    "name": r"^(([A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}/)?[A-Za-z0-9_][A-Za-z0-9_-]{0,79}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})?$",  # noqa: E501
    "digest": r"^(sha256:)?[0-9a-f]{64}$",
    "base": r"^(([A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}/)?[A-Za-z0-9_][A-Za-z0-9_-]{0,79}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})?$",  # noqa: E501
    "gguf": None,
    "system": None,
    "template": None,
}
CHOICES = {
    "memory_management": ("automatic", "manual"),
    "pull_policy": ("missing", "always", "never"),
    "on_destroy": ("delete", "unload", "keep"),
}
BOOLEANS = frozenset(("resident", "insecure"))
DURATIONS = frozenset(("keep_alive",))
DEADLINES = frozenset(("pull", "load", "unload"))
