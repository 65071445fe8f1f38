"""`python -m tests.engines.story FILE`: records docs/story.md's session: from a symptom to its proof, in five commands.

The situation is made by real clients on a private Ollama: one pins a model, a deploy moves its name to other weights,
and the next client pins those too. What the commands print is written down as it comes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
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
COMMANDS = (
    "ollama-policy probe example-model",
    "ollama-policy drift .",
    "ollama-policy remedies . --apply-to models.tf",
    "ollama-policy reclaim . --yes",
    "ollama-policy drift .",
)
_SESSION = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)


class Step(NamedTuple):
    command: str
    output: str
    exit_code: int


def played(server: OllamaServer, folder: Path) -> Iterator[Step]:
    """Makes the situation on `server`, then runs the commands in `folder`, beside the declaration."""
    for version in (1, 2):
        weights = folder / f"v{version}.gguf"
        write_llama(weights, seed=version, layers=8, width=512, heads=8)
        # One thread: on a busy machine several wait for each other longer than they compute.
        server.create_from_gguf(f"example-model:v{version}", weights, parameters={"num_thread": 1})
        weights.unlink()
        copied = {"source": f"example-model:v{version}", "destination": "example-model"}
        server.call("POST", "/api/copy", copied).raise_for_status()
        server.call("POST", "/api/generate", {"model": "example-model", "keep_alive": -1}).raise_for_status()
    (folder / "models.tf").write_text(DECLARATION, encoding="utf-8")
    commands = Path(sys.executable).parent
    environment = {**os.environ, "OLLAMA_HOST": server.url, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    for command in COMMANDS:
        ran = subprocess.run(
            command.split(),
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        yield Step(command, ran.stdout, ran.returncode)


def session(steps: Iterator[Step]) -> str:
    return "\n".join(f"$ {step.command}\n{step.output}" for step in steps)


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
