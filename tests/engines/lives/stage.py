"""What a life starts on: models to pull, to upload and for people to use, and a server that is empty."""

import shutil
import time
from pathlib import Path

from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_llama

FILES = 5
EMPTY_SECONDS = 2.0


def write_files(folder: Path) -> list[Path]:
    """Models of a few hundred KB with different weights: two to pull, two to upload, one that people use."""
    files = [folder / f"{seed}.gguf" for seed in range(FILES)]
    for seed, file in enumerate(files):
        write_llama(file, seed=seed)
    return files


def push(registry: Registry, files: list[Path]) -> None:
    for name, file in zip(("tiny:latest", "other:latest"), files[:2], strict=True):
        registry.push(name, file)


def empty(server: OllamaServer) -> None:
    """A server with nothing on disk and nothing in memory, where that is to be had without a start anew."""
    for model in server.ps():
        server.call("POST", "/api/generate", {"model": model["name"], "keep_alive": 0})
    for model in server.tags():
        server.call("DELETE", "/api/delete", {"model": model["name"]})
    deadline = time.monotonic() + EMPTY_SECONDS
    while server.ps() and time.monotonic() < deadline:
        time.sleep(0.02)
    if server.ps() or server.tags():
        server.stop()
        shutil.rmtree(server.folder / "models")
        server.start()
