"""What an experiment with a rule's examples needs: the servers and the requests that the example files say."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from ollama_policy.model.rule import Example, Finding, Rule
from ollama_policy.model.settings import ENDPOINT, Kind, Subject, apply
from ollama_policy.pipeline.check import Options, check, read_all
from ollama_policy.pipeline.configuration import Configuration
from ollama_policy.pipeline.discover import Workspace
from ollama_provider.ollama.settings.variables import text_of
from tests.engines.observing import seconds_left
from tests.engines.ollama_server import OllamaServer

MODEL = "llama3"
# Head sizes of 32, as a quantised KV cache needs it; a long context that takes 16 MiB.
SHAPE = {"width": 128, "heads": 4, "context_length": 32768}
Files = Mapping[str, bytes]


def plain(examples: tuple[Example, ...]) -> Files:
    return {example.path: example.text.replace("«", "").replace("»", "").encode() for example in examples}


def fixed(rule: type[Rule], number: int = 0) -> Files:
    """The bad example after the fix that its finding offers."""
    files = dict(plain(rule.bad))
    result = check([*files], Options((rule,), Configuration(target=rule.example_target), overlay=files))
    findings: list[Finding] = [reported.finding for reported in result.findings]
    edits = findings[0].fixes[number].edits
    for path in {edit.file.path for edit in edits}:
        files[path] = apply([edit for edit in edits if edit.file.path == path], files[path])
    return files


def subjects(files: Files, kind: Kind) -> list[Subject]:
    readings = read_all(Workspace([*files], overlay=files), lambda done, total: None)
    return [subject for reading in readings for subject in reading.subjects if subject.kind is kind]


def environment(files: Files) -> dict[str, str]:
    """The variables that the one server of the files gets."""
    [server] = subjects(files, Kind.SERVER)
    settings = {name: setting.value for name, setting in server.settings.items() if name.isupper()}
    return {name: text_of(value) for name, value in settings.items()}


def declared(files: Files) -> list[dict[str, Any]]:
    return [{key: one.value(key) for key in one.settings} for one in subjects(files, Kind.MODEL)]


def requests(files: Files) -> list[tuple[str, dict[str, Any]]]:
    """The path and the body of each request."""
    found = []
    for request in subjects(files, Kind.REQUEST):
        body: dict[str, Any] = {}
        for key, setting in request.settings.items():
            option = key.removeprefix("options.")
            if key != ENDPOINT:
                (body if option == key else body.setdefault("options", {}))[option] = setting.value
        found.append((str(request.value(ENDPOINT)), body))
    return found


class Bench:
    """Servers over one folder of models: `llama3`, and what an experiment adds."""

    def __init__(self, program: Path, folder: Path, ggufs: Callable[..., Path]) -> None:
        self.program = program
        self.folder = folder
        self.ggufs = ggufs
        self.models = folder / "models"
        self._count = 0

    @contextlib.contextmanager
    def server(self, settings: Mapping[str, str] | None = None) -> Iterator[OllamaServer]:
        """A server with these variables, until the block ends."""
        self._count += 1
        own = {"OLLAMA_MODELS": str(self.models), "OLLAMA_NOPRUNE": "1"} | dict(settings or {})
        with OllamaServer(self.program, self.folder / str(self._count), own) as server:
            yield server

    def of(self, files: Files) -> contextlib.AbstractContextManager[OllamaServer]:
        """A server as the files configure it."""
        return self.server(environment(files))


def load(server: OllamaServer, model: str = MODEL, **fields: Any) -> httpx.Response:
    """A client's call that loads a model and asks nothing of it."""
    return server.call("POST", "/api/generate", {"model": model, "stream": False, **fields})


def minutes_left(server: OllamaServer, model: str = MODEL) -> int:
    """Whole minutes until it is released, by /api/ps, rounded up."""
    return -int(-seconds_left(server, f"{model}:latest") // 60)


def command(server: OllamaServer) -> list[str]:
    """How Ollama started the only runner."""
    [runner] = server.runners()
    return runner.cmdline()


def argument(server: OllamaServer, name: str) -> str:
    words = command(server)
    return words[words.index(name) + 1]


def configured(server: OllamaServer) -> dict[str, str]:
    """What the server says at its start that its variables are."""
    match = re.search(r'msg="server config" env="map\[(.*?)\]"', server.log.read_text(errors="replace"))
    assert match
    return dict(re.findall(r"(\w+):(\S*)", match[1]))


def logged(server: OllamaServer, words: str, seconds: float = 5) -> bool:
    """Whether the log has the words, or gets them soon."""
    deadline = time.monotonic() + seconds
    while words not in server.log.read_text(errors="replace"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
