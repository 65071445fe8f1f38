"""The server that the provider `ollama` itself is configured with, where a root module's files say it."""

import re
from typing import Any

from ollama_policy.settings import Subject, Unknown
from ollama_policy.sources.terraform.blocks import attribute
from ollama_policy.sources.terraform.module import Folder, Workspace
from ollama_policy.sources.terraform.scope import evaluate

_PROVIDER = "ollama"


def provider_host(subject: Subject, workspace: Workspace) -> Any:
    """The host for a model that has none of its own: a text, Unknown, or None where nothing is configured."""
    folder = workspace.folder_at("" if subject.unit == "." else subject.unit)
    if folder is None:
        return None
    called = re.match(r"module\.([^.\[]+)", subject.address)
    if called is not None:
        call = folder.block("module", [called[1]])
        if call is None or attribute(call, "providers") is not None:
            return Unknown(f"module.{called[1]} is handed providers of its own")
    return _default(folder)


def _default(folder: Folder) -> Any:
    for file in folder.files:
        if b"provider" not in file.data:
            continue
        for block in folder.blocks(file):
            if block.kind == "provider" and block.labels == [_PROVIDER] and attribute(block, "alias") is None:
                host = attribute(block, "host")
                instances = folder.instances()
                if host is not None:
                    return evaluate(host, instances[0].scope()) if instances else Unknown("no one calls its module")
    return None
