"""What tests share: the real engines once a session, a server and a registry that each test finds empty."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.engines.bridge import Bridge, find_or_build_bridge
from tests.engines.observing import wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.progress import ProgressLine
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.recipes import OLLAMA, OLLAMA_BEFORE_0_30, OLLAMAS
from tests.engines.registry import Registry
from tests.engines.terraform_stack import TerraformStack
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import (
    Engines,
    Ollama,
    find_or_build,
    find_or_build_fit_params,
    find_or_build_ollama,
    find_or_build_opentofu,
)
from tests.snapshot import Snapshots

# A deadline of milliseconds says nothing on a machine that does other things, too.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# One commit has one answer: new examples are looked for by `make explore`, not by whoever runs the tests next.
settings.register_profile("repeatable", settings.get_profile("random"), derandomize=True)
settings.load_profile("repeatable")
pytest.register_assert_rewrite("tests.engines.stories")
assert sys.__stderr__
PROGRESS = ProgressLine.on(sys.__stderr__)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts an engine is tried a second time: a real one shares the machine. The summary names it (RERUN)."""
    for item in items:
        if item.get_closest_marker("engines"):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=[".*"]))


@pytest.fixture(scope="session")
def snapshots(pytestconfig: pytest.Config) -> Snapshots:
    return Snapshots(are_updated=pytestconfig.getoption("--update-snapshots"))


class StackMaker(Protocol):
    def __call__(self, program: str | Path, **environment: str) -> PulumiStack: ...


class TerraformMaker(Protocol):
    def __call__(self, configuration: str | Path, **environment: str) -> TerraformStack: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the files of tests/snapshots anew")
    parser.addoption(
        "--ollama",
        metavar="VERSION",
        help=f"run the chosen tests on this Ollama alone, one of {', '.join(OLLAMAS)}; it is built where it is missing",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All that starts an Ollama runs on the one that people run; marked `both_engines`, on the one before 0.30 too.

    `pytest.mark.both_engines` marks a test, or a whole module by its `pytestmark`; `llama_server` takes a test of such
    a module out again, where what it shows is llama-server's own, and `newest` where it is slow and shows nothing of
    the other one that a quicker test does not. A test gets the server from the fixture
    `ollama`; one that starts a server of its own asks for `engine` (its program, its version), or for `engines`, where
    it wants Pulumi too. What a test expects of one engine only, it decides by `engine.numbers`.
    Servers of the session are shared per engine: pytest runs all tests of one engine, then those of the other.
    """
    if "engine" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--ollama")
        if chosen and chosen not in OLLAMAS:
            raise pytest.UsageError(f"--ollama {chosen}: no such engine, known are {', '.join(OLLAMAS)}")
        node = metafunc.definition
        is_out = node.get_closest_marker("llama_server") or node.get_closest_marker("newest")
        both = node.get_closest_marker("both_engines") and not is_out
        recipes = [OLLAMA, OLLAMA_BEFORE_0_30] if both else [OLLAMA]
        versions = [chosen] if chosen else [recipe.version for recipe in recipes]
        metafunc.parametrize("engine", versions, indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Ollama:
    """The Ollama that this test runs on. Without a parameter (in a fixture that no test leads to), the default."""
    return find_or_build_ollama(PROGRESS, OLLAMAS[getattr(request, "param", OLLAMA.version)])


@pytest.fixture(scope="session")
def engines(engine: Ollama) -> Engines:
    """The engine of this test, and Pulumi."""
    return find_or_build(PROGRESS, engine)


@pytest.fixture(scope="session")
def fit_params() -> Path:
    """llama-fit-params, llama.cpp's own dry run of a load."""
    return find_or_build_fit_params(PROGRESS)


@pytest.fixture(scope="session")
def bridge() -> Bridge:
    """Of its own, since it takes minutes to build and few tests need it."""
    return find_or_build_bridge(PROGRESS)


@pytest.fixture(scope="session")
def opentofu() -> Path:
    return find_or_build_opentofu(PROGRESS)


@pytest.fixture(scope="session")
def session_server(engine: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OllamaServer]:
    # One thread a runner: the threads of two wait for each other in a loop, and tests load hundreds of tiny models.
    with OllamaServer(engine.program, tmp_path_factory.mktemp("ollama"), {"LLAMA_ARG_THREADS": "1"}) as server:
        yield server


@pytest.fixture
def ollama(session_server: OllamaServer) -> OllamaServer:
    """The session's real Ollama, with nothing on disk and nothing in memory."""
    for model in session_server.ps():
        session_server.call("POST", "/api/generate", {"model": model["name"], "keep_alive": 0})
    for model in session_server.tags():
        session_server.call("DELETE", "/api/delete", {"model": model["name"]})
    if session_server.tags():  # a tag `local`, which no delete reaches
        shutil.rmtree(session_server.folder / "models" / "manifests")
    deadline = time.monotonic() + 2
    while session_server.ps() and time.monotonic() < deadline:
        time.sleep(0.05)
    if session_server.ps():
        session_server.restart()  # a runner that no name reaches any more
    return session_server


@pytest.fixture(scope="session")
def session_registry() -> Iterator[Registry]:
    with Registry() as registry:
        yield registry


@pytest.fixture
def registry(session_registry: Registry, tiny: Path) -> Registry:
    """A real registry to pull from that holds `tiny:latest`, unthrottled."""
    session_registry.bytes_per_second = None
    session_registry.requests.clear()
    session_registry.push("tiny:latest", tiny)
    return session_registry


@pytest.fixture(scope="session")
def ggufs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes GGUF files by seed (and width, layers): each is written once a session."""
    folder = tmp_path_factory.mktemp("gguf")

    def make(seed: int = 0, **shape: Any) -> Path:
        file = folder / ("-".join(map(str, (seed, *shape.values()))) + ".gguf")
        if not file.exists():
            write_llama(file, seed=seed, **shape)
        return file

    return make


@pytest.fixture(scope="session")
def tiny(ggufs: Callable[..., Path]) -> Path:
    return ggufs(0)


@pytest.fixture
def terraform_of(ollama: OllamaServer, tmp_path: Path) -> Iterator[TerraformMaker]:
    """Makes configurations of real Terraform, initialised, whose OLLAMA_HOST is the test's server."""
    made: list[TerraformStack] = []
    with ExitStack() as stacks:

        def make(configuration: str | Path, **environment: str) -> TerraformStack:
            folder = tmp_path / f"terraform-{len(made)}"
            environment = {"OLLAMA_HOST": ollama.url, **environment}
            made.append(stacks.enter_context(TerraformStack(folder, configuration, environment)))
            return made[-1]

        yield make
        wait_until(lambda: not any(stack.strays() for stack in made), "no plugin process stays")


@pytest.fixture
def stack_of(engines: Engines, ollama: OllamaServer, tmp_path: Path) -> Iterator[StackMaker]:
    """Makes stacks of real Pulumi whose OLLAMA_HOST is the test's server."""
    with ExitStack() as stacks:

        def make(program: str | Path, **environment: str) -> PulumiStack:
            folder = tmp_path / f"stack-{len(list(tmp_path.glob('stack-*')))}"
            return stacks.enter_context(
                PulumiStack(engines, folder, program, {"OLLAMA_HOST": ollama.url, **environment})
            )

        yield make


@pytest.fixture
def bridged_stack_of(stack_of: StackMaker, bridge: Bridge) -> StackMaker:
    """Makes stacks that may use a Terraform provider, with programs in Python or YAML."""

    def make(program: str | Path, **environment: str) -> PulumiStack:
        stack = stack_of(program, PATH=bridge.path(), **environment)
        bridge.install_in(stack)
        return stack

    return make
