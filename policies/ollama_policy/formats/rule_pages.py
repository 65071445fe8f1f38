"""Where the pages of rules are published, where the packager says so: the project URL `Rules` of the package."""

from functools import cache


def page_of(rule_id: str) -> str | None:
    """The address of a rule's page; None where the package names none."""
    base = _base()
    return f"{base}/{rule_id}.md" if base else None


@cache
def _base() -> str:
    from importlib.metadata import metadata  # noqa: PLC0415 - costs 20 ms to those who do not ask

    for entry in metadata("ollama-iac").get_all("Project-URL") or ():
        label, _, address = entry.partition(", ")
        if label == "Rules":
            return str(address).rstrip("/")
    return ""
