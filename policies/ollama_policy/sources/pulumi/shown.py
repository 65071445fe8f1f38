"""What `pulumi preview --json` and `pulumi stack export` say: every value decided, placed in the program where it is.

{"steps": [{"op": "create", "urn": "...::ollama:index:Model::chat", "newState": {"type": ..., "inputs": {...}}}]}
{"version": 3, "deployment": {"resources": [{"urn": ..., "type": ..., "inputs": {...}}]}}
"""

import posixpath
from collections.abc import Iterator
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Kind, Setting, SourceFile, Style, Subject, Unknown
from ollama_policy.sources.common.kept import OfTree
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.pulumi.python import PulumiPython, address_of
from ollama_policy.sources.pulumi.resources import OUTPUTS, TYPES, first_unknown, snake
from ollama_policy.sources.syntax.json_spans import JsonNode, parse

# pulumi/pulumi, sdk/go/common/resource/plugin/rpc.go and sdk/go/common/resource/sig.
_UNKNOWN: Final = frozenset(
    (
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # a text; the others stand for other types
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    )
)
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRETS: Final = ("1b47061264138c4ac30d75fd1eb44270",)
_MASKED: Final = "[secret]"
_WORDS: Final = tuple(name.encode() for name in TYPES)


class PulumiJson:
    """Ollama models in a preview or a state."""

    name = "pulumi-json"

    def accepts(self, file: SourceFile) -> bool:
        data = file.data
        if not file.path.endswith(".json") or not any(word in data for word in _WORDS):
            return False
        return (b'"newState"' in data and b'"steps"' in data) or (b'"deployment"' in data and b'"resources"' in data)

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        found: dict[str, tuple[JsonNode, JsonNode]] = {}
        for resource in _resources(parse(file.data)):
            kind, urn, inputs = resource.get("type"), resource.get("urn"), resource.get("inputs")
            is_gone = (deleted := resource.get("delete")) is not None and deleted.value is True
            if kind and urn and inputs and kind.value in TYPES and isinstance(urn.value, str) and not is_gone:
                found[urn.value] = urn, inputs  # a replacement has two steps, the same in both
        programs = _programs(file, tree) if found else {}
        for name, (urn, inputs) in found.items():
            subject = _subject(name.rpartition("::")[2], urn, inputs, file)
            written = programs.get(subject.address)
            yield subject if written is None else _placed(subject, written)


def digests(file: SourceFile) -> dict[str, str]:
    """The digest that each model had at the last deployment, by address. Raises UnreadableError."""
    found: dict[str, str] = {}
    for resource in _resources(parse(file.data), "oldState"):
        kind, urn, digest = resource.get("type"), resource.get("urn"), resource.at("outputs", "digest")
        if kind and urn and digest and kind.value in TYPES and isinstance(digest.value, str):
            found[address_of(str(urn.value).rpartition("::")[2])] = digest.value.removeprefix("sha256:")
    return found


def configured(file: SourceFile, key: str) -> str:
    """What a preview says of a configuration value; empty where it says nothing."""
    node = parse(file.data).at("config", key)
    return node.value if node is not None and isinstance(node.value, str) else ""


def _resources(document: JsonNode, state_of_step: str = "newState") -> Iterator[JsonNode]:
    steps = document.get("steps")
    for step in steps.items if steps is not None else ():
        if (state := step.get(state_of_step)) is not None:
            yield state
    resources = document.at("deployment", "resources")
    yield from resources.items if resources is not None else ()


def _subject(name: str, urn: JsonNode, inputs: JsonNode, file: SourceFile) -> Subject:
    subject = Subject(Kind.MODEL, address_of(name), file, urn.span, Style.JSON, unit=posixpath.dirname(file.path))
    for key, node in inputs.members:
        declared = snake(key.value)
        is_declared = not key.value.startswith("__") and declared not in OUTPUTS
        if is_declared and node.value is not None:  # null is the same as leaving it out
            # What is written here is made by the next preview: it is nothing to edit.
            subject.add(Setting(declared, _decided(node.value), node.span, file, is_literal=False))
    return subject


def _decided(value: Any) -> Any:
    """The value, with all that Pulumi does not know yet, or hides, as Unknown."""
    if isinstance(value, str):
        if value in _UNKNOWN:
            return Unknown("it is only known at deployment")
        return Unknown("it is a secret") if value == _MASKED else value
    if isinstance(value, dict):
        if _SIGNATURE in value:
            is_secret = value[_SIGNATURE] in _SECRETS
            return Unknown("it is a secret" if is_secret else "it is not a plain value")
        value = {key: _decided(item) for key, item in value.items()}
    elif isinstance(value, list):
        value = [_decided(item) for item in value]
    return first_unknown(value) or value


def _programs(file: SourceFile, tree: Tree) -> dict[str, Subject]:
    """The resources of the Python programs, by address: those beside the file first, then the whole tree's."""
    known = _PROGRAMS.of(tree)
    folder = file.path.rpartition("/")[0]
    if folder not in known:
        known[folder] = _declared(tree.folder(file, (".py",)), tree)
    if known[folder]:
        return known[folder]
    if _WHOLE not in known:
        known[_WHOLE] = _declared(tree.files((".py",)), tree)
    return known[_WHOLE]


def _nothing(_: Tree) -> dict[str, dict[str, Subject]]:
    return {}


_WHOLE: Final = "//"
_PROGRAMS: Final = OfTree(_nothing)  # by folder; those of the whole tree by _WHOLE


def _declared(programs: list[SourceFile], tree: Tree) -> dict[str, Subject]:
    """The resources of some programs that are declared once in them, by address."""
    source = PulumiPython()
    found: dict[str, Subject] = {}
    twice: set[str] = set()
    for program in filter(source.accepts, programs):
        try:
            subjects = list(source.read(program, tree))
        except UnreadableError:
            continue  # it is reported where the program itself is read
        for subject in subjects:
            if subject.address in found:
                twice.add(subject.address)
            found[subject.address] = subject
    return {address: subject for address, subject in found.items() if address not in twice}


def _placed(subject: Subject, written: Subject) -> Subject:
    """The decided values at the places where the program writes them."""
    placed = Subject(Kind.MODEL, subject.address, written.file, written.span, written.style, unit=written.unit)
    placed.insertion = written.insertion
    for key, setting in subject.settings.items():
        place = written.settings.get(key)
        if place is None:
            placed.add(setting)
        else:
            is_literal = place.is_literal and place.value == setting.value
            origin = f"{subject.file.path} says so"
            placed.add(Setting(key, setting.value, place.span, place.file, origin, is_literal))
    return placed
