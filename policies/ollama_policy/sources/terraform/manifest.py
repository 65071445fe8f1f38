"""`kubernetes_manifest`: an object of any kind, written out in HCL, read as the manifest that it is."""

from collections.abc import Iterator
from typing import Final

from ollama_policy.model.settings import SourceFile, Subject
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.kubernetes.manifests import object_subjects, objects
from ollama_policy.sources.syntax.yaml_documents import documents
from ollama_policy.sources.terraform.language.blocks import attribute
from ollama_policy.sources.terraform.placed_values import Mapping, composed, of_expression
from ollama_policy.sources.terraform.server_reader import Reader

_BYTES_A_STEP: Final = 4


def subjects(reader: Reader) -> Iterator[Subject]:
    """The servers of the object. One that a here-document holds is read with all here-documents."""
    written = attribute(reader.block, "manifest")
    value = None if written is None else of_expression(written, reader)
    if isinstance(value, Mapping):
        text = composed(value)
        reader.spend(text.size // _BYTES_A_STEP)
        for subject in text.subjects(_read, "manifest.yaml", reader.address):
            subject.unit = reader.instance.root
            yield subject


def _read(file: SourceFile, tree: Tree) -> Iterator[Subject]:
    for root in documents(file.data):
        for item in objects(root):
            yield from object_subjects(item, file, tree)
