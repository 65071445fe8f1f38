"""What the demo's steps act with: a terminal to tell on, and the engines, each act of which is shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TextIO

import psutil

from ollama_provider.ollama import durations
from ollama_provider.ollama.sizes import MIB
from tests.engines.ollama_server import OllamaServer
from tests.engines.pulumi_stack import Outcome, PulumiStack

PROMPT_CHARACTERS = 300  # each is a token of the tests' models

STYLES = {"headline": "1", "command": "36", "quiet": "2", "good": "1;32", "bad": "1;31"}


class StoryError(Exception):
    """What a step claims is not so."""


class Screen:
    """Lines on a terminal, with colours where there is one."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self.stream = stream
        self.is_watched = stream.isatty()
        self.has_colours = self.is_watched and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"

    def line(self, text: str = "", style: str = "") -> None:
        print(self.styled(text, style), file=self.stream, flush=True)

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.has_colours and style and text else text

    def table(self, rows: list[tuple[str, ...]], style: str = "") -> None:
        """Aligned columns under a quiet first row; `style` is for the last cell of the others."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            *cells, last = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            last = self.styled(last.rstrip(), style if number else "quiet")
            self.line("   " + "  ".join([*(self.styled(cell, "" if number else "quiet") for cell in cells), last]))


@dataclass
class Story:
    """The engines at work, and the means to act on them in sight of the spectator."""

    screen: Screen
    server: OllamaServer
    stack: PulumiStack
    model: str
    folder: Path
    """Where the server's unit stands."""
    outcome: Outcome | None = None

    @cached_property
    def version(self) -> str:
        """Of Ollama, in its own words."""
        version: str = self.server.call("GET", "/api/version").json()["version"]
        return version

    def pulumi(self, *command: str) -> Outcome:
        """Runs a command, then shows the lines of the provider and the properties that Pulumi shows as changed."""
        confirmed = command if command[0] == "config" else (*command, "--yes", "--skip-preview", "--diff")
        self.screen.line(f"$ pulumi {' '.join(command).replace(self.model, '$MODEL')}", "command")
        self.outcome = self.stack.run(*confirmed)
        if command[0] in ("up", "refresh"):
            for line in changes_shown(self.outcome.text):
                self.note(line)
        for line in provider_lines(self.outcome.text, self.model):
            self.note(f"$MODEL: {line}", "quiet")
        if command[0] != "config":
            self.note(f"done in {self.outcome.seconds:.1f} s", "quiet")
        return self.outcome

    def client_calls(self, **fields: Any) -> None:
        """One call as any client makes it, shown as the `curl` that would do the same."""
        body = json.dumps({"model": "'$MODEL'", "prompt": "hello", **fields})
        self.screen.line(f"$ curl $OLLAMA_HOST/api/generate -d '{body}'", "command")
        self.generate(**fields)

    def grows_by(self, calls: int, shown: int = 6) -> list[int]:
        """Bytes that each of `calls` with different prompts leaves in the runner; what it holds is shown."""
        self.screen.line(
            f"$ for i in $(seq {calls}); do curl $OLLAMA_HOST/api/generate ...a different prompt...; done", "command"
        )
        resident, listed = [self.server.runner_resident_bytes()], [self.server.ps()[0]["size"]]
        for call in range(calls):
            self.generate(prompt="".join(Random(call).choices("abcdefgh ", k=PROMPT_CHARACTERS)))
            resident.append(self.server.runner_resident_bytes())
            listed.append(self.server.ps()[0]["size"])
        columns = range(0, calls + 1, calls // shown)
        self.screen.table(
            [
                ("", *(f"CALL {number}" for number in columns)),
                ("the runner's memory", *(mebibytes(resident[number]) for number in columns)),
                ("SIZE in /api/ps", *(mebibytes(listed[number]) for number in columns)),
            ]
        )
        return [after - before for before, after in pairwise(resident)]

    def policy(self, *arguments: str) -> str:
        """What `ollama-policy` prints, run in the folder of the server's unit."""
        self.screen.line(f"$ ollama-policy {' '.join(arguments)}", "command")
        command = [sys.executable, "-m", "ollama_policy", *arguments]
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
        said = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)
        for line in said.stdout.splitlines():
            self.note(line)
        return said.stdout

    def generate(self, **fields: Any) -> None:
        body = {"model": self.model, "prompt": "hello", "stream": False, **fields}
        answer = self.server.call("POST", "/api/generate", body)
        self.claim(answer.is_success, f"Ollama refused a client's call: {answer.status_code} {answer.text}")

    def memory_is(self, until: str, style: str = "") -> None:
        """Shows /api/ps beside the processes' own memory. `until`: "forever", about "in 5m 0s", or "nothing"."""
        entries = self.server.ps()
        rss = mebibytes(self.server.runner_resident_bytes())
        found = [until_of(entry["expires_at"]) for entry in entries]
        rows = [
            (entry["name"], mebibytes(entry["size"]), rss, when) for entry, when in zip(entries, found, strict=True)
        ]
        self.screen.table([("NAME", "SIZE", "RSS", "UNTIL"), *(rows or [("(nothing in memory)", "", rss, "")])], style)
        # The call that armed the timer has ended some moments ago.
        right = {"nothing": (), "in 5m 0s": ("in 5m 0s", "in 4m 5")}.get(until, (until,))
        is_so = len(found) == bool(right) and all(when.startswith(right) for when in found)
        self.claim(is_so, f"expected in memory: {until}, found: {', '.join(found) or 'nothing'}")

    def claim(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            raise StoryError(otherwise)

    def note(self, text: str, style: str = "") -> None:
        self.screen.line(f"   {text}", style)


def provider_lines(text: str, model: str) -> list[str]:
    """What the provider said of the model, in order, each once."""
    lines = [line.strip() for line in text.splitlines()]
    return list(dict.fromkeys(line.removeprefix(f"{model}: ") for line in lines if line.startswith(f"{model}: ")))


def changes_shown(text: str) -> list[str]:
    """The properties of memory that Pulumi shows as changed, such as `~ pinned: false => true`, each once."""
    found = re.findall(r"^\s*([-+~]) (memory_management|drift|pinned)\s*: (.*)", text, re.MULTILINE)
    return list(dict.fromkeys(f"{sign} {name}: {value}" for sign, name, value in found))


def until_of(expires_at: str) -> str:
    expiry = durations.parse_time(expires_at)
    if durations.is_for_ever(expiry):
        return "forever"
    minutes, seconds = divmod(round((expiry - datetime.now(UTC)).total_seconds()), 60)
    return f"in {minutes}m {seconds}s"


def what_is_held(server: OllamaServer) -> dict[str, str]:
    assert server.process is not None
    return {
        "runner processes": str(len(server.runners())),
        "their RSS": mebibytes(server.runner_resident_bytes()),
        "models on disk": str(len(server.tags())),
        "Ollama's own RSS": mebibytes(psutil.Process(server.process.pid).memory_info().rss),
    }


def mebibytes(count: int, digits: int = 0) -> str:
    return f"{count / MIB:.{digits}f} MiB"
