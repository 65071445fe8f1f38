"""`helm_release`: what its `values` and `set` come to, read as a values file is.

Helm lays later values over earlier ones, maps by key and all else whole, and `set` over them. One text of values is
read where it stands; several are put together, each value with its own place. What a part that is not known may
overwrite is not known either.
Facts: hashicorp/helm's resource (values, then set, set_list and set_sensitive), Helm's `coalesce` and `strvals`.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Subject, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.kubernetes.helm_releases import release_values
from ollama_policy.sources.syntax.yaml_nodes import Node
from ollama_policy.sources.syntax.yaml_templates import template_documents
from ollama_policy.sources.terraform.composed import MAX_BYTES, UNDECIDED, Composed, Place
from ollama_policy.sources.terraform.here_documents import compose
from ollama_policy.sources.terraform.language.blocks import Expression, attribute, only_child
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.placed_values import (
    Mapping,
    Scalar,
    Sequence,
    Value,
    composed,
    of_expression,
    of_value,
)
from ollama_policy.sources.terraform.server_reader import Reader, members_of

_SETS: Final = ("set", "set_list", "set_sensitive")
_IN_MODULE: Final = re.compile(r'"(\$\{path\.(?:module|root)\}/)?([^"$%\\]+)"')
_STEP: Final = re.compile(r"((?:[^.\[\]\\={},]|\\.)+)|\[(\d{1,3})\]|(\.)")
_TYPED: Final = re.compile(r"true|false|0|-?[1-9][0-9]{0,17}")
_MAX_DEPTH: Final = 32
_BYTES_A_STEP: Final = 32
_VISITS_A_STEP: Final = 2


def subjects(reader: Reader) -> Iterator[Subject]:
    """The servers that a release's values configure."""
    block = reader.block
    chart = reader.value(attribute(block, "chart"))
    found = _Release(reader)
    found.read()
    chart = chart if isinstance(chart, str) else ""
    is_ollamas = chart.rpartition("/")[2] == "ollama"

    def read(file: SourceFile, tree: Tree) -> Iterator[Subject]:
        for root in found.parsed(file.data):
            yield from release_values(root, file, "", chart, found.unknown)

    text = found.text()
    if text is not None:
        every = [*text.subjects(read, "values.yaml", reader.address, is_ollamas=is_ollamas)]
        reader.spend(found.steps)
        for subject in every:
            subject.unit = reader.instance.root
            yield subject


class _Release:
    """The values of one release as they are laid over each other."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.block = reader.block
        self.place = Place(self.block.file, self.block.start, self.block.header_end)
        self.texts: list[Composed] = []
        self.root = Mapping(self.place)
        self.is_merged = False
        self.unknown: Unknown | None = None
        self._bytes = 0
        self._roots: list[Node] = []

    @property
    def steps(self) -> int:
        """What it took to read the texts, which other releases may have too."""
        return self._bytes // _BYTES_A_STEP + sum(root.visits for root in self._roots) // _VISITS_A_STEP

    def parsed(self, data: bytes) -> list[Node]:
        """The first document of a text, where it has any. Raises UnreadableError."""
        self._bytes += len(data)
        found = template_documents(data)[:1]
        self._roots += found
        return found

    def read(self) -> None:
        """Takes all values in Helm's order."""
        written = attribute(self.block, "values")
        items = None if written is None else written.items()
        for item in items if items is not None else [written] if written is not None else ():
            self._take(item)
        for kind in _SETS:
            for inner in self.block.nested(kind):
                parts = {each.name: each for each in inner.attributes()}
                self._set(parts.get("name"), parts.get("value"), kind)
            listed = attribute(self.block, kind)
            if listed is not None and not self.block.is_json:
                self._set_all(listed, kind)
        for inner in self.block.nested("dynamic"):
            if inner.labels and inner.labels[0] in _SETS:
                self._hide(Unknown(f'a dynamic "{inner.labels[0]}" block'))

    def text(self) -> Composed | None:
        """One text of values, where it stands; several as one. None where there are none."""
        if not self.is_merged and len(self.texts) == 1:
            return self.texts[0]
        self._lay_texts()
        if not self.root.members and self.unknown is None:
            return None
        image = self.root.members.get("image")
        if image is not None and isinstance(image[1], Scalar) and image[1].text == UNDECIDED:
            image[1].text = None  # nor is it the name of another program's image
        return composed(self.root)

    def _hide(self, unknown: Unknown) -> None:
        """What is there so far may be overwritten, and more may come."""
        self._lay_texts()
        self.unknown = self.unknown or unknown
        self.root.hide(unknown)

    def _lay_texts(self) -> None:
        """Lays the texts that wait over what is there."""
        self.is_merged = True
        texts, self.texts = self.texts, []
        for text in texts:
            try:
                roots = self.parsed(text.data) if text.size <= MAX_BYTES else []
                for root in roots:
                    if root.holds_actions:
                        self.unknown = self.unknown or Unknown("a template decides what is there")
                    value = _of_node(root, text)
                    if isinstance(value, Mapping):
                        _lay(self.root, value)
            except (UnreadableError, RecursionError) as error:
                self._hide(Unknown(f"values that are not read: {error}"))

    # Values.

    def _take(self, item: Expression) -> None:
        """An item of `values`: a here-document, a file's text, an object that is encoded, or any other text."""
        if (path := item.call("file")) is not None:
            self._take_file(path)
        elif (encoded := item.call("yamlencode") or item.call("jsonencode")) is not None:
            self._lay_texts()
            value = of_expression(encoded, self.reader)
            if isinstance(value, Mapping):
                _lay(self.root, value)
            elif isinstance(value, Scalar) and value.place.unknown is not None:
                self._hide(value.place.unknown)
        elif not item.is_json and (node := _here_document(item)) is not None:
            text = compose(item.file, node, self.reader.scope, self.reader.instance)
            self._add(Unknown("values that are too large") if text is None else text)
        else:
            value = evaluate(item, self.reader.scope)
            for each in value if isinstance(value, list) else [value]:
                self._add(self._composed(each, item))

    def _add(self, text: Composed | Unknown) -> None:
        if isinstance(text, Unknown):
            self._hide(text)
        elif text.size:
            self.texts.append(text)

    def _composed(self, value: Any, item: Expression) -> Composed | Unknown:
        if not isinstance(value, str):
            return value if isinstance(value, Unknown) else Unknown("values that are not text")
        text = Composed()
        text.stand_in(value, Place(item.file, item.start, item.end, None, self.reader.origin(item)))
        return text

    def _take_file(self, path: Expression) -> None:
        """The text of a file of the module, or of the folder that Terraform runs in, which is the root module's."""
        written = _IN_MODULE.fullmatch(path.text)
        is_root = self.reader.instance.call is None
        tree = self.reader.instance.folder.workspace.tree
        found = None
        if written is not None and (is_root or written[1] == "${path.module}/"):
            found = tree.sibling(self.block.file, posixpath.normpath(written[2]))
        if found is None:
            self._hide(Unknown(f"the file {path.text} is not in the tree"))
            return
        text = Composed()
        text.copy(found, 0, len(found.data))
        self._add(text)

    # Sets.

    def _set_all(self, listed: Expression, kind: str) -> None:
        items = listed.items()
        for item in items or ():
            parts = members_of(item)
            self._set(parts.get("name"), parts.get("value"), kind)
        if items is not None:
            return
        value = evaluate(listed, self.reader.scope)
        place = Place(listed.file, listed.start, listed.end, None, self.reader.origin(listed))
        for each in value if isinstance(value, list) else [value]:
            name = each.get("name") if isinstance(each, dict) else None
            if not isinstance(name, str):
                self._hide(each if isinstance(each, Unknown) else Unknown(f"{kind} may set more"))
            else:
                self._put(name, each.get("value"), place, kind)

    def _set(self, name: Expression | None, value: Expression | None, kind: str) -> None:
        path = None if name is None else evaluate(name, self.reader.scope)
        if not isinstance(path, str) or value is None:
            self._hide(path if isinstance(path, Unknown) else Unknown(f"{kind} may set more"))
            return
        is_literal = isinstance(value.literal(), str)
        origin = "" if is_literal else self.reader.origin(value)
        place = Place(value.file, value.start, value.end, None, origin, is_literal)
        self._put(path, evaluate(value, self.reader.scope), place, kind)

    def _put(self, path: str, value: Any, place: Place, kind: str) -> None:
        """Lays one value over the others, at a path such as `extraEnv[0].value`."""
        self._lay_texts()
        steps = _steps(path)
        if kind == "set_sensitive":
            value = Unknown(f"{path} is sensitive")
        elif isinstance(value, str) and re.search(r"(?<!\\)[{},]", value):
            value = Unknown("several values in one text")
        found = of_value(value, place)
        if isinstance(found, Scalar) and found.text is not None:
            found.is_plain = _TYPED.fullmatch(found.text) is not None
            found.text = None if found.text == "null" else found.text.replace("\\", "")
        if not steps or not _put(self.root, steps, found):
            self._hide(Unknown(f"{path} sets what is not known"))


def _here_document(item: Expression) -> Any:
    inner: Any = item.tree
    while inner is not None and inner.type in ("expression", "template_expr", "literal_value"):
        inner = only_child(inner)
    return inner if inner is not None and inner.type == "heredoc_template" else None


def _steps(path: str) -> list[str | int]:
    """The keys and indexes of a path; none where it is not understood."""
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or len(steps) > _MAX_DEPTH:
            return []
        if step[1] is not None:
            steps.append(step[1].replace("\\", ""))
        elif step[2] is not None:
            steps.append(int(step[2]))
        at = step.end()
    return steps


def _put(root: Mapping, steps: list[str | int], value: Value) -> bool:
    """Sets the value down a path; False where that meets something else than it says."""
    box: Value = root
    place = replace(value.place, unknown=None, is_literal=False)
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        inner: Value | None
        if isinstance(step, str) and isinstance(box, Mapping):
            key, inner = box.members.get(step, (place, None))
        elif isinstance(step, int) and isinstance(box, Sequence) and step <= len(box.items):
            inner = box.items[step] if step < len(box.items) else None
        else:
            return False
        if following is None:
            inner = value
        elif inner is None or (isinstance(inner, Scalar) and inner.text is None and inner.place.unknown is None):
            inner = Mapping(place) if isinstance(following, str) else Sequence(place, [])
        if isinstance(box, Mapping) and isinstance(step, str):
            box.members[step] = (key, inner)
        elif isinstance(box, Sequence) and isinstance(step, int):
            box.items[step : step + 1] = [inner]
        box = inner
    return True


def _lay(below: Mapping, above: Mapping) -> None:
    """Lays a map over another: maps by key, all else whole; null takes away."""
    for name, (key, value) in above.members.items():
        old = below.members.get(name)
        if isinstance(value, Mapping) and old is not None and isinstance(old[1], Mapping):
            _lay(old[1], value)
        else:
            below.members[name] = (key, value)


def _of_node(node: Node, text: Composed) -> Value:
    """YAML with the places that its text has in the files that it is from."""
    place = text.place(node.span)
    if node.is_mapping:
        found = Mapping(place)
        for key, value in node.members:
            found.members[key.text] = (text.place(key.span), _of_node(value, text))
        return found
    if node.is_sequence:
        return Sequence(place, [_of_node(item, text) for item in node.items])
    if place.unknown is None and (node.is_filled_in or node.has_own_tag):
        place = replace(place, unknown=Unknown(f"{node.text} is filled in by a template"), is_literal=False)
    is_literal = place.is_literal and not node.is_shared and node.style not in ("|", ">")
    return Scalar(None if node.is_null else node.text, node.is_plain, replace(place, is_literal=is_literal))
