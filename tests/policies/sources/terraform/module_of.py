"""A tree of files that are only in memory, and what the Terraform sources see in it."""

import posixpath

from ollama_policy.model.settings import Setting, SourceFile, Subject
from ollama_policy.sources.terraform.hcl import TerraformSource
from ollama_policy.sources.terraform.plan import TerraformPlanSource


class MemoryTree:
    """Files by path."""

    def __init__(self, files: dict[str, str | bytes]) -> None:
        self.all = [
            SourceFile(path, data if isinstance(data, bytes) else data.encode()) for path, data in sorted(files.items())
        ]

    def sibling(self, file: SourceFile, relative: str) -> SourceFile | None:
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), relative))
        return next((each for each in self.all if each.path == wanted), None)

    def folder(self, file: SourceFile, suffixes: tuple[str, ...]) -> list[SourceFile]:
        path = posixpath.dirname(file.path)
        return [each for each in self.files(suffixes) if posixpath.dirname(each.path) == path]

    def files(self, suffixes: tuple[str, ...]) -> list[SourceFile]:
        return [each for each in self.all if each.path.endswith(suffixes)]


def subjects_of(files: dict[str, str | bytes]) -> dict[str, Subject]:
    """Every subject of the files by its address."""
    tree, sources = MemoryTree(files), (TerraformSource(), TerraformPlanSource())
    found: dict[str, Subject] = {}
    for file in tree.all:
        for source in sources:
            if source.accepts(file):
                for subject in source.read(file, tree):
                    assert subject.address not in found, subject.address
                    found[subject.address] = subject
                break
    return found


def plain(subject: Subject) -> dict[str, object]:
    """The values by key; an unknown one as its reason behind a question mark."""
    return {
        key: setting.value if setting.is_known else f"? {setting.value.reason}"
        for key, setting in subject.settings.items()
    }


def cut(setting: Setting) -> str:
    """What stands at a setting's place."""
    return setting.file.data[setting.span.start : setting.span.end].decode()
