"""The source of Terraform's own files."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Subject, Unknown
from ollama_policy.sources.common.calls import names_server
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.terraform import models, servers
from ollama_policy.sources.terraform.modules.folders import HCL, JSON, is_override
from ollama_policy.sources.terraform.modules.module import Folder, Workspace

if TYPE_CHECKING:
    from ollama_policy.sources.terraform.here_documents import HereDocument
    from ollama_policy.sources.terraform.language.blocks import Block

_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


class TerraformSource:
    """Reads `.tf`, `.tofu` and their JSON forms. A tree's files are seen together: a module is a folder."""

    name = "terraform"

    def __init__(self) -> None:
        self._workspace: Workspace | None = None

    def accepts(self, file: SourceFile) -> bool:
        if not file.path.endswith((*HCL, *JSON)):
            return False
        if file.data.startswith(_UTF16):
            return names_server(file.data.replace(b"\0", b"").lower())
        return names_server(file.data.lower())

    def read(self, file: SourceFile, tree: Tree) -> Iterator[Subject]:
        if self._workspace is None or self._workspace.tree is not tree:
            self._workspace = Workspace(tree)
        workspace = self._workspace
        workspace.work.depth = 0
        workspace.budget.grow(len(file.data))
        try:
            yield from _read(file, workspace)
        except RecursionError:
            raise UnreadableError(0, "nesting that is too deep") from None


def _read(file: SourceFile, workspace: Workspace) -> Iterator[Subject]:
    every = workspace.blocks(file)
    blocks = [block for block in every if block.kind == "resource" and len(block.labels) == 2]
    wanted = [block for block in blocks if block.labels[0] == models.RESOURCE or block.labels[0] in servers.READERS]
    documents = _here_documents(every) if b"<<" in file.data else []
    if not wanted and not documents:
        return
    folder = workspace.folder(file)
    instances = folder.instances()
    for instance in instances:
        instance.near = file
    for block in wanted:
        workspace.work.steps = workspace.work.items = 0
        if block.labels[0] == models.RESOURCE:
            found = list(models.subjects(block, instances))
        else:
            found = list(servers.subjects(block, instances))
        workspace.spend(block)
        yield from _with_overrides(found, block, file, folder)
    for document in documents:
        workspace.work.steps = workspace.work.items = 0
        found = list(document.subjects(instances))
        workspace.spend(document.block)
        yield from _with_overrides(found, document.block, file, folder)


def _here_documents(blocks: "list[Block]") -> "list[HereDocument]":
    from ollama_policy.sources.terraform.here_documents import find  # noqa: PLC0415 - many files have none

    return list(find(blocks))


def _with_overrides(found: list[Subject], block: "Block", file: SourceFile, folder: Folder) -> list[Subject]:
    if (why := _merged(block.labels, file, folder)) is not None:
        for subject in found:
            subject.unknown = subject.unknown or why
    return found


def _merged(labels: list[str], file: SourceFile, folder: Folder) -> Unknown | None:
    """Why a block may not be all of it: Terraform merges those of override files into the others."""
    if is_override(file):
        return Unknown("a block in an override file is merged into another one")
    for other in folder.overrides:
        if all(label.encode() in other.data for label in labels):
            return Unknown(f"{other.path.rpartition('/')[2]} overrides parts of it")
    return None
