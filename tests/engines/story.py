"""`python -m tests.engines.story FILE`: records docs/story.md's session: from a symptom to its proof, in five commands.

The situation is a private Ollama as an operator has it, with a unit that bounds nothing, and a model that a client
pinned. What the commands print is written down as it comes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.engines.ollama_server import OllamaServer
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import find_or_build

DECLARATION = """resource "ollama_model" "my_model" {
  name = "example-model"
  memory_management = "automatic"
}
"""
UNIT = """[Service]
ExecStart=/usr/bin/ollama serve
Environment=OLLAMA_KEEP_ALIVE=5m
MemoryMax=16G
"""
CAP = {"LLAMA_ARG_CACHE_RAM": "32"}
CAPPED = "# The unit has LLAMA_ARG_CACHE_RAM=32 now, and the server was started again."
PROBE = "ollama-policy probe example-model"
BEFORE_THE_CAP = (
    PROBE,
    "ollama-policy check .",
    "ollama-policy remedies . --apply-to models.tf",
    "ollama-policy reclaim --reload example-model --yes",
)
COMMANDS = (*BEFORE_THE_CAP, PROBE)
_SESSION = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)


class Step(NamedTuple):
    command: str
    output: str
    exit_code: int
    said_before: str = ""

    @property
    def shown_before(self) -> str:
        return f"{self.said_before}\n" if self.said_before else ""


def played(server: OllamaServer, folder: Path) -> Iterator[Step]:
    """Makes the situation on `server`, then runs the commands in `folder`, beside the declaration and the unit."""
    weights = folder / "weights.gguf"
    write_llama(weights, layers=16, width=128, heads=8, kv_heads=8)
    # One thread: on a busy machine several wait for each other longer than they compute.
    server.create_from_gguf("example-model", weights, parameters={"num_thread": 1})
    weights.unlink()
    server.call("POST", "/api/generate", {"model": "example-model", "keep_alive": -1}).raise_for_status()
    (folder / "models.tf").write_text(DECLARATION, encoding="utf-8")
    (folder / "ollama.service").write_text(UNIT, encoding="utf-8")
    for command in BEFORE_THE_CAP:
        yield ran(command, server, folder)
    (folder / "ollama.service").write_text(UNIT + _lines(CAP), encoding="utf-8")
    server.environment.update(CAP)
    server.restart()
    yield ran(PROBE, server, folder)._replace(said_before=CAPPED)


def ran(command: str, server: OllamaServer, folder: Path) -> Step:
    commands = Path(sys.executable).parent
    environment = {**os.environ, "OLLAMA_HOST": server.url, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.run(
        command.split(),
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        # How far a probe is, it says by the clock: no two sessions are alike in that.
        stderr=subprocess.DEVNULL if command == PROBE else subprocess.STDOUT,
        timeout=170,
    )
    return Step(command, process.stdout, process.returncode)


def _lines(variables: Mapping[str, str]) -> str:
    return "".join(f"Environment={name}={value}\n" for name, value in variables.items())


def session(steps: Iterator[Step]) -> str:
    return "\n".join(f"{step.shown_before}$ {step.command}\n{step.output}" for step in steps)


def session_in(page: str) -> str:
    found = _SESSION.search(page)
    assert found, "the page has no ```console block"
    return found[0]


def record(page: Path) -> None:
    """Plays it, and puts the session in place of the one in `page`; the rest of the page stays."""
    engines = find_or_build(lambda line: print(line, file=sys.stderr))
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="ollama-iac-story-")))
        server = OllamaServer(engines.ollama, folder / "ollama")
        cleanup.callback(server.close)
        cleanup.callback(server.kill)
        server.start()
        (folder / "infra").mkdir()
        text = session(played(server, folder / "infra"))
    page.write_text(_SESSION.sub(lambda _: text, page.read_text(encoding="utf-8"), count=1), encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
