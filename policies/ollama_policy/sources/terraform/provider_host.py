"""The server that the provider `ollama` itself is configured with, where a root module's files say it."""

import re
from typing import Any

from ollama_policy.model.settings import Subject, Unknown
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.terraform.language.blocks import attribute
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.modules.module import Folder, Workspace

_PROVIDER = "ollama"
_CALLED = re.compile(r"module\.([^.\[]+)")


class ProviderHosts:
    """Asked once a root module, and once for each of its calls."""

    def __init__(self, tree: Tree) -> None:
        self._workspace = Workspace(tree)
        self._known: dict[tuple[str, str], Any] = {}

    def of(self, subject: Subject) -> Any:
        """The host for a model that has none of its own: a text, Unknown, or None where nothing is configured."""
        called = _CALLED.match(subject.address)
        key = ("" if subject.unit == "." else subject.unit, "" if called is None else called[1])
        if key not in self._known:
            self._workspace.work.steps = self._workspace.work.depth = 0
            try:
                self._known[key] = self._host(*key)
            except RecursionError:
                self._known[key] = Unknown("nesting that is too deep")
        return self._known[key]

    def _host(self, unit: str, called: str) -> Any:
        folder = self._workspace.folder_at(unit)
        if folder is None:
            return None
        if called:
            call = folder.block("module", [called])
            if call is None or attribute(call, "providers") is not None:
                return Unknown(f"module.{called} is handed providers of its own")
        return _default(folder)


def _default(folder: Folder) -> Any:
    for file in folder.files:
        if b"provider" not in file.data or b"ollama" not in file.data:
            continue
        for block in folder.blocks(file):
            if block.kind == "provider" and block.labels == [_PROVIDER] and attribute(block, "alias") is None:
                host = attribute(block, "host")
                instances = folder.instances()
                if host is not None:
                    return evaluate(host, instances[0].scope()) if instances else Unknown("nobody calls its module")
    return None
