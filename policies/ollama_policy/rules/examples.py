"""The file that most examples of rules about a server are."""

from ollama_policy.model.rule import Example


def compose(*environment: str, image: str = "ollama/ollama:0.34.3", limit: str = "64g", gpus: int = 0) -> Example:
    """A compose file with one Ollama; each line of `environment` is `NAME: value`."""
    lines = ["services:", "  ollama:", f"    image: {image}"]
    if limit:
        lines.append(f"    mem_limit: {limit}")
    if gpus:
        lines.append(f"    gpus: {gpus}")
    if environment:
        lines += ["    environment:", *(f"      {line}" for line in environment)]
    return Example("compose.yaml", "\n".join(lines) + "\n")
