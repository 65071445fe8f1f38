"""The long run: `python -m tests.engines.lives --sequences 2000`. Ends with 1 where a promise was broken."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click

from tests.engines.lives.by_lifecycle import LifecycleEngine
from tests.engines.lives.by_pulumi import PulumiEngine
from tests.engines.lives.by_terraform import PROVIDER, TerraformEngine
from tests.engines.lives.kills import SCENARIOS, kill_at_every_request
from tests.engines.lives.sequences import play
from tests.engines.lives.stage import empty, push, write_files
from tests.engines.lives.world import BrokenPromiseError, Engine, World
from tests.engines.ollama_server import OllamaServer
from tests.engines.progress import ProgressLine
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.registry import Registry
from tests.engines.terraform_stack import TerraformStack
from tests.engines.toolchain import find_or_build, find_or_build_ollama


def play_all(
    server: OllamaServer,
    registry: Registry,
    make: Callable[[int], AbstractContextManager[Engine]],
    files: list[Path],
    seeds: range,
) -> int:
    """Plays the sequences of all seeds, each on a server that it finds empty. Returns how many broke a promise."""
    broken = kills = failures = steps = crashes = 0
    for done, seed in enumerate(seeds, start=1):
        empty(server)
        push(registry, files)
        try:
            with make(seed) as engine:
                told = play(World(server, registry, engine, files), seed)
        except BrokenPromiseError as error:
            broken += 1
            click.echo("\n".join([f"BROKEN: {error}", *error.__notes__]))
        else:
            kills, failures, steps = kills + told.kills, failures + told.failures, steps + len(told.steps)
            crashes += told.crashes
        if done % 10 == 0 or done == len(seeds):
            click.echo(
                f"{done} sequences, {steps} steps, {kills} kills, {failures} refusals, "
                f"{crashes} panics of Ollama, {broken} broken",
                err=True,
            )
    return broken


def kill_all(server: OllamaServer, registry: Registry, files: list[Path]) -> int:
    """Plays every scenario with a kill at each of its requests. Returns how many scenarios broke a promise."""

    def fresh() -> World:
        empty(server)
        push(registry, files)
        return World(server, registry, LifecycleEngine(server.url), files)

    broken = 0
    for scenario in SCENARIOS:
        for is_before in (True, False):
            tried = 0
            try:
                for _ in kill_at_every_request(scenario, fresh, is_before=is_before):
                    tried += 1
            except BrokenPromiseError as error:
                broken += 1
                click.echo("\n".join([f"BROKEN: {error}", *error.__notes__]))
            click.echo(f"{scenario.name}: {tried} kills {'before' if is_before else 'after'} a request", err=True)
    return broken


@click.command()
@click.option("--sequences", default=20, show_default=True, help="How many sequences to play.")
@click.option("--seed", default=1, show_default=True, help="The seed of the first one; the next ones follow.")
@click.option("--kills", is_flag=True, help="In their place: kill -9 at every request of an apply.")
@click.option(
    "--engine",
    type=click.Choice(["lifecycle", "terraform", "pulumi"]),
    default="lifecycle",
    show_default=True,
    help="What applies: the lifecycle by itself, which takes seconds a sequence, or through an engine.",
)
def main(sequences: int, seed: int, kills: bool, engine: str) -> None:
    """Plays random sequences of applies, kills, client calls and people's deeds on a real Ollama."""
    assert sys.__stderr__
    progress = ProgressLine.on(sys.__stderr__)
    engines = find_or_build(progress, find_or_build_ollama(progress))
    with tempfile.TemporaryDirectory(prefix="lives-") as name, Registry() as registry:
        folder = Path(name)
        files = write_files(folder)
        with OllamaServer(engines.ollama, folder / "ollama", {"LLAMA_ARG_THREADS": "1"}) as server:

            @contextmanager
            def make(number: int) -> Iterator[Engine]:
                environment, own = {"OLLAMA_HOST": server.url}, folder / f"{engine}-{number}"
                if engine == "terraform":
                    with TerraformStack(own, PROVIDER, environment) as terraform:
                        yield TerraformEngine(terraform)
                elif engine == "pulumi":
                    with PulumiStack(engines, own, "", environment) as pulumi:
                        yield PulumiEngine(pulumi)
                else:
                    yield LifecycleEngine(server.url)
                shutil.rmtree(own, ignore_errors=True)

            if kills:
                broken = kill_all(server, registry, files)
            else:
                broken = play_all(server, registry, make, files, range(seed, seed + sequences))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
