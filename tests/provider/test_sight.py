"""What a run shows of who else has a model, and what may then be done with one that is given up."""

import asyncio
from typing import Any

import pytest

from ollama_provider.apply import sight as module
from ollama_provider.apply.declarations import Key, key_of
from ollama_provider.apply.sight import FREE, UNSEEN, Sight, Verdict, verdict_in
from ollama_provider.engine_run import EngineRun
from ollama_provider.model import declare

HOST = "http://127.0.0.1:11434"
WHOLE = EngineRun("terraform", pid=7)
MINE, MANUAL = declare({"name": "llama3"}), declare({"name": "llama3", "memory_management": "manual"})
KEY = key_of(MINE, HOST)


@pytest.fixture(autouse=True)
def hear_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARING_SECONDS", 0.02)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)


def verdict(sight: Sight, declared: Any = MINE, **more: Any) -> Verdict:
    return asyncio.run(sight.verdict(KEY, declared, **more))


def test_where_all_is_seen_and_nobody_else_has_the_model_it_may_go() -> None:
    assert verdict(Sight(lambda: WHOLE, lambda: True)) == FREE


@pytest.mark.parametrize(
    ("run", "alone", "why"),
    [
        (EngineRun(), True, "which command started this run cannot be read"),
        (EngineRun("terraform", narrowed="-target", pid=7), True, "-target hides"),
        (EngineRun("terraform", is_destroy=True, narrowed="-target", pid=7), True, "-target hides"),
        (EngineRun("terraform", one_at_a_time=True, pid=7), True, "-parallelism=1"),
        (WHOLE, False, "another configuration"),
    ],
)
def test_where_not_all_is_seen_the_files_stay(run: EngineRun, alone: bool, why: str) -> None:
    found = verdict(Sight(lambda: run, lambda: alone))
    assert (why in found.keeps, found.leaves) == (True, False)
    assert verdict_in(found.noted()) == found


def test_what_another_resource_declares_is_left_to_it() -> None:
    sight = Sight(lambda: WHOLE, lambda: True)
    assert sight.declare(KEY, MINE, "other", before=KEY) is None
    assert verdict(sight) == Verdict("is another resource's too", leaves=True)
    assert verdict(sight, MANUAL).leaves is False, "nobody else holds it in memory: the pin goes, and the files stay"
    assert verdict(sight, resource="other") == FREE, "one's own declaration is nobody else's"
    whole_destroy = Sight(lambda: EngineRun("terraform", is_destroy=True, pid=7), lambda: True)
    whole_destroy.declare(KEY, MINE, "other", before=KEY)
    assert verdict(whole_destroy) == FREE, "the other gives it up too"


def test_the_base_of_a_declared_model_keeps_its_files_and_is_unloaded() -> None:
    sight = Sight(lambda: WHOLE, lambda: True)
    variant = declare({"name": "support", "base": "LLaMA3:latest", "memory_management": "manual"})
    assert sight.declare(key_of(variant, HOST), variant, "other", before=None) is None
    assert verdict(sight, MANUAL) == Verdict("is the base of a model that is declared")
    elsewhere = Sight(lambda: WHOLE, lambda: True)
    elsewhere.declare(key_of(variant, "http://gpu:11434"), variant, "other", before=None)
    assert verdict(elsewhere) == FREE
    whole_destroy = Sight(lambda: EngineRun("terraform", is_destroy=True, pid=7), lambda: True)
    whole_destroy.declare(key_of(variant, HOST), variant, "other", before=None)
    assert verdict(whole_destroy) == FREE


def test_what_is_declared_a_moment_later_counts_and_what_comes_too_late_is_an_error() -> None:
    sight = Sight(lambda: WHOLE, lambda: True)

    async def both() -> Verdict:
        asking = asyncio.create_task(sight.verdict(KEY, MINE, deletes=True))
        await asyncio.sleep(0.005)
        assert sight.declare(KEY, MINE, "other", before=KEY) is None
        return await asking

    assert asyncio.run(both()).leaves
    late = Sight(lambda: WHOLE, lambda: True)
    assert verdict(late, deletes=True) == FREE
    problem = late.declare(KEY, MINE, "other", before=KEY)
    assert problem
    assert "has promised to delete llama3:latest" in str(problem)
    variant = declare({"name": "support", "base": "llama3"})
    of_variant = key_of(variant, HOST)
    problem = late.declare(of_variant, variant, "third", before=None)
    assert problem
    assert (problem.path, "has promised to delete llama3:latest" in str(problem)) == (("base",), True)
    assert late.declare(of_variant, variant, "third", before=of_variant) is None, "it is made already"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"name": "llama3"}, {"name": "LLaMA3:latest"}, True),
        ({"name": "llama3"}, {"name": "llama3", "host": "localhost"}, True),
        ({"name": "llama3", "host": "http://localhost:11434/"}, {"name": "llama3", "host": "127.0.0.1"}, True),
        ({"name": "llama3"}, {"name": "llama3", "host": "[::1]"}, False),
        ({"name": "llama3"}, {"name": "llama3:8b"}, False),
        ({"name": "llama3"}, {"name": "llama3", "host": "http://127.0.0.1"}, False),
    ],
)
def test_one_model_is_one_resource_however_it_is_written(
    first: dict[str, Any], second: dict[str, Any], same: bool
) -> None:
    sight = Sight(lambda: WHOLE, lambda: True)
    one, other = declare(first), declare(second)
    assert sight.declare(key_of(one, HOST), one, "1", before=None) is None
    assert sight.declare(key_of(one, HOST), one, "1", before=None) is None, "asked again"
    problem = sight.declare(key_of(other, HOST), other, "2", before=None)
    assert bool(problem) is same
    if problem:
        assert "another one declares llama3:latest on http://127.0.0.1:11434" in problem.expected.lower()


@pytest.mark.parametrize("noted", [None, {}, {"keeps": 1, "leaves": False}, "x", {"keeps": ""}])
def test_what_is_no_verdict_lets_nothing_go(noted: object) -> None:
    assert verdict_in(noted) == UNSEEN
    assert UNSEEN.keeps


def test_where_a_provider_is_not_configured_its_own_server_is_one() -> None:
    assert key_of(MINE, None) == Key("", MINE.model_name) != KEY
