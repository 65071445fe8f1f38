"""Terraform's files as they parse, kept for a run."""

from functools import cached_property

from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.terraform.language import syntax
from ollama_policy.sources.terraform.language.blocks import Attribute, Block


class Parsed:
    """The blocks of a file, in its order and by what names them."""

    def __init__(self, file: SourceFile) -> None:
        """Raises UnreadableError."""
        self.blocks = _parse_json(file) if file.path.endswith(".json") else syntax.parse(file)

    @cached_property
    def by_labels(self) -> dict[tuple[str, ...], Block]:
        return {(block.kind, *block.labels): block for block in reversed(self.blocks)}

    @cached_property
    def locals(self) -> dict[str, Attribute]:
        boxes = [block for block in self.blocks if block.kind == "locals"]
        return {each.name: each for box in boxes for each in box.attributes()}


def _parse_json(file: SourceFile) -> list[Block]:
    from ollama_policy.sources.terraform.language import terraform_json  # noqa: PLC0415 - most trees have no JSON

    return terraform_json.parse(file)
