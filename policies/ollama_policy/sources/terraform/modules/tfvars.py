"""Files of variables' values: `.tfvars` in either syntax."""

import posixpath
from collections.abc import Iterator

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Unknown
from ollama_policy.sources.syntax import json_spans
from ollama_policy.sources.terraform.language import syntax
from ollama_policy.sources.terraform.language.blocks import Expression


def read(file: SourceFile) -> Iterator[tuple[str, Expression | Unknown]]:
    """Each variable and its value. Where the file does not parse: `""`, for every variable, and that as the reason."""
    try:
        if file.path.endswith(".json"):
            for key, value in json_spans.parse(file.data).members:
                yield str(key.value), Expression(file, value.start, value.end, value, is_json=True)
        else:
            for each in syntax.assignments(file):
                yield each.name, each
    except UnreadableError:
        yield "", Unknown(f"{posixpath.basename(file.path)} does not parse")
