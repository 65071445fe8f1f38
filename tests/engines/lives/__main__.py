"""The long run: `python -m tests.engines.lives --sequences 2000`. Ends with 1 where a promise was broken."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from tests.engines.lives.by_lifecycle import LifecycleEngine
from tests.engines.lives.sequences import play
from tests.engines.lives.world import BrokenPromiseError, Engine, World
from tests.engines.ollama_server import OllamaServer
from tests.engines.progress import ProgressLine
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import find_or_build_ollama

FILES = 5


def write_files(folder: Path) -> list[Path]:
    """Models of a few hundred KB with different weights: two to pull, two to upload, one that people use."""
    files = [folder / f"{seed}.gguf" for seed in range(FILES)]
    for seed, file in enumerate(files):
        write_llama(file, seed=seed)
    return files


def play_all(
    server: OllamaServer, registry: Registry, make: Callable[[], Engine], files: list[Path], seeds: range
) -> int:
    """Plays the sequences of all seeds, each on a server that it finds empty. Returns how many broke a promise."""
    broken = kills = failures = steps = 0
    for done, seed in enumerate(seeds, start=1):
        empty(server)
        for name, file in zip(("tiny:latest", "other:latest"), files[:2], strict=True):
            registry.push(name, file)
        try:
            told = play(World(server, registry, make(), files), seed)
        except BrokenPromiseError as error:
            broken += 1
            click.echo("\n".join([f"BROKEN: {error}", *error.__notes__]))
        else:
            kills, failures, steps = kills + told.kills, failures + told.failures, steps + len(told.steps)
        if done % 10 == 0 or done == len(seeds):
            click.echo(
                f"{done} sequences, {steps} steps, {kills} kills, {failures} refusals, {broken} broken", err=True
            )
    return broken


def empty(server: OllamaServer) -> None:
    """A server with nothing on disk and nothing in memory."""
    server.stop()
    for file in sorted(server.folder.glob("models/**/*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    server.start()


@click.command()
@click.option("--sequences", default=20, show_default=True, help="How many sequences to play.")
@click.option("--seed", default=1, show_default=True, help="The seed of the first one; the next ones follow.")
def main(sequences: int, seed: int) -> None:
    """Plays random sequences of applies, kills, client calls and people's deeds on a real Ollama."""
    assert sys.__stderr__
    engine = find_or_build_ollama(ProgressLine.on(sys.__stderr__))
    with tempfile.TemporaryDirectory(prefix="lives-") as folder, Registry() as registry:
        files = write_files(Path(folder))
        environment = {"LLAMA_ARG_THREADS": "1"}
        with OllamaServer(engine.program, Path(folder) / "ollama", environment) as server:
            broken = play_all(
                server, registry, lambda: LifecycleEngine(server.url), files, range(seed, seed + sequences)
            )
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
