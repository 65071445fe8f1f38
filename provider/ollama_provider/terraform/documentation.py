"""The provider's pages in the layout of Terraform's registry: `python -m ollama_provider.terraform.documentation docs`.

What a page says of a type comes from its schema, and its example from examples/terraform, beside `docs`, where a test
runs it: `data-sources/NAME.tf`, `functions/NAME.tf`, or else `NAME/main.tf`. docs/guides is written by hand.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import indent
from typing import Final

from ollama_provider.terraform.protocol.provider import Function, Provider
from ollama_provider.terraform.protocol.schema import Attribute, Schema
from ollama_provider.terraform.protocol.values import Type
from ollama_provider.terraform.provider import OllamaProvider

FOLDERS: Final = ("resources", "data-sources", "functions")
_WORDS: Final = {"string": "String", "number": "Number", "bool": "Boolean", "dynamic": "Dynamic"}
# The examples of each resource, by their folders.
_EXAMPLES: Final = {
    "ollama_model": {
        "The shortest one": "document",
        "A variant with a context of its own": "variant",
        "On every server of a fleet": "fleet",
    }
}
_IMPORTS: Final = {"ollama_model": "import"}


def pages(provider: Provider, examples: Path) -> dict[str, str]:
    """Each generated page's path in `docs` and its text. Raises FileNotFoundError where an example is missing."""
    written = {"index.md": _index(provider, examples)}
    for resource in provider.resources:
        parts = [
            "## Example Usage",
            *(
                f"### {title}\n\n{_example(examples / name / 'main.tf')}"
                for title, name in _EXAMPLES[resource.name].items()
            ),
            *_arguments(resource.schema),
            *_import(resource.name, examples),
        ]
        page = _page(f"{resource.name} (Resource)", resource.schema.description, parts)
        written[f"resources/{_short(resource.name)}.md"] = page
    for source in provider.data_sources:
        example = _example(_file(examples, "data-sources", _short(source.name)))
        parts = ["## Example Usage", example, *_arguments(source.schema)]
        page = _page(f"{source.name} (Data Source)", source.schema.description, parts)
        written[f"data-sources/{_short(source.name)}.md"] = page
    for function in provider.functions:
        example = _example(_file(examples, "functions", function.name))
        page = _page(f"{function.name} (Function)", f"{function.summary}.", _function(function, example))
        written[f"functions/{function.name}.md"] = page
    return written


def _index(provider: Provider, examples: Path) -> str:
    parts = [
        "Install it from a checkout with `pip install '.[terraform]'` and `terraform-provider-ollama install`: it is "
        "not in a registry, and not on a package index. See [the guide](guides/installation.md).",
        "## Example Usage",
        _example(examples / "provider" / "main.tf"),
        *_arguments(provider.schema),
        "All arguments are optional: without them, the server is that of `OLLAMA_HOST`, otherwise Ollama's own "
        "default.",
    ]
    return _page("Ollama Provider", provider.schema.description, parts, page_title="Provider: Ollama")


def _page(title: str, description: str, parts: Iterable[str], page_title: str | None = None) -> str:
    folded = indent(description, "  ")
    head = f'---\npage_title: "{page_title or title}"\nsubcategory: ""\ndescription: |-\n{folded}\n---'
    origin = "<!-- Generated from the provider's schema: do not edit. -->"
    return "\n\n".join([f"{head}\n\n{origin}", f"# {title}", description, *parts]) + "\n"


def _arguments(schema: Schema) -> Iterator[str]:
    yield "## Schema"
    yield from _groups(schema, "###")
    for name, block in schema.blocks.items():
        yield f"### The block `{name}`"
        yield block.description
        yield from _groups(block, "####")


def _groups(schema: Schema, heading: str) -> Iterator[str]:
    attributes = schema.attributes
    optional = [_line(name, attribute) for name, attribute in attributes.items() if attribute.optional]
    optional += [f"- `{name}` (Block) {block.description} See below." for name, block in schema.blocks.items()]
    groups = {
        "Required": [_line(name, attribute) for name, attribute in attributes.items() if attribute.required],
        "Optional": optional,
        "Read-Only": [
            _line(name, attribute)
            for name, attribute in attributes.items()
            if not attribute.required and not attribute.optional
        ],
    }
    for group, lines in groups.items():
        if lines:
            yield f"{heading} {group}"
            yield "\n".join(lines)


def _line(name: str, attribute: Attribute) -> str:
    kind = _in_words(attribute.type) + (", Sensitive" if attribute.sensitive else "")
    members = _members(attribute.type)
    return "\n".join([f"- `{name}` ({kind}) {attribute.description}", *(f"  - {member}" for member in members)])


def _in_words(type_: Type) -> str:
    if isinstance(type_, str):
        return _WORDS[type_]
    kind, inner = type_
    return "Object" if kind == "object" else f"{kind.capitalize()} of {_in_words(inner)}"


def _members(type_: Type) -> list[str]:
    """The attributes of the objects that a type is made of."""
    if isinstance(type_, str):
        return []
    kind, inner = type_
    return [f"`{name}` ({_in_words(its)})" for name, its in inner.items()] if kind == "object" else _members(inner)


def _import(resource: str, examples: Path) -> Iterator[str]:
    yield "## Import"
    yield (
        "Use a block or the command; the id is `NAME`, or `NAME@HOST` for a server other than the provider's. After a "
        "`?`, the id may have the declaration's `keep_alive` and `on_destroy`, so that the plan has nothing to "
        "change: `llama3.2?keep_alive=5m&on_destroy=unload`, as `ollama-policy adopt` writes it."
    )
    yield _example(examples / _IMPORTS[resource] / "main.tf")
    yield f"```shell\nterraform import {resource}.chat llama3.2\n```"


def _function(function: Function, example: str) -> Iterator[str]:
    yield function.description
    yield "## Example Usage"
    yield example
    yield "## Signature"
    parameters = ", ".join(f"{one.name} {_in_words(one.type).lower()}" for one in function.parameters)
    yield f"```text\n{function.name}({parameters}) {_in_words(function.returns).lower()}\n```"
    yield "## Arguments"
    yield "\n".join(
        f"{number}. `{one.name}` ({_in_words(one.type)}{', Nullable' if one.allows_null else ''}) {one.description}"
        for number, one in enumerate(function.parameters, 1)
    )


def _file(examples: Path, folder: str, name: str) -> Path:
    own = examples / name.replace("_", "-") / "main.tf"
    return own if own.exists() else examples / folder / f"{name}.tf"


def _example(file: Path) -> str:
    return f"```terraform\n{file.read_text(encoding='utf-8').rstrip()}\n```"


def _short(name: str) -> str:
    return name.removeprefix("ollama_")


if __name__ == "__main__":
    docs = Path(sys.argv[1])
    written = pages(OllamaProvider(), docs.parent / "examples" / "terraform")
    for folder in FOLDERS:
        (docs / folder).mkdir(parents=True, exist_ok=True)
        for old in (docs / folder).glob("*.md"):
            if f"{folder}/{old.name}" not in written:
                old.unlink()
    for name, text in written.items():
        (docs / name).write_text(text, encoding="utf-8")
