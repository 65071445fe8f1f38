"""A sample of the long run (`python -m tests.engines.lives`): a few sequences of fresh seeds, and one apply killed."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines.lives.by_lifecycle import LifecycleEngine
from tests.engines.lives.kills import SCENARIOS, kill_at_every_request
from tests.engines.lives.sequences import play
from tests.engines.lives.stage import empty, push, write_files
from tests.engines.lives.world import World
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry

pytestmark = pytest.mark.engines
SEQUENCES = 4


@pytest.fixture
def fresh_world(ollama: OllamaServer, registry: Registry, tmp_path: Path) -> Callable[[], World]:
    files = write_files(tmp_path)

    def make() -> World:
        empty(ollama)
        push(registry, files)
        return World(ollama, registry, LifecycleEngine(ollama.url), files)

    return make


def test_what_applies_clients_people_and_kills_do_loses_no_model_and_leaves_no_orphan(
    fresh_world: Callable[[], World],
) -> None:
    first = random.randrange(10**6)
    for seed in range(first, first + SEQUENCES):
        play(fresh_world(), seed)


def test_an_apply_that_is_killed_at_any_request_is_gone_on_from(fresh_world: Callable[[], World]) -> None:
    scenario = next(one for one in SCENARIOS if one.name == "another variant")
    assert list(kill_at_every_request(scenario, fresh_world, is_before=False))
