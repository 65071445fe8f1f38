"""M is what is really held after the last call, each phase says what came back, and the verdict names what grows."""

import json
from dataclasses import replace

import pytest

from ollama_policy.commands.probe import text
from ollama_policy.commands.probe.account import Account, Lost, Sight, account
from ollama_policy.commands.probe.command import exit_code
from ollama_policy.commands.probe.growth import Cause
from ollama_policy.commands.probe.leak import Kind
from ollama_policy.commands.probe.probing import DIFFERENT, REPEATED, Called, Sample
from ollama_provider.ollama.sizes import MIB
from tests.policies.report.examples import probed

UNKNOWN = Called("0.17.4", None)


def sample(phase: str, call: int, moment: str, runners: int | None) -> Sample:
    server = None if runners is None else 40 * MIB
    return Sample(0.0, phase, call, moment, server, None if runners is None else runners * MIB, 50 * MIB, 0)


def samples(*held: tuple[int, int]) -> list[Sample]:
    made = [sample("before", 0, "settled", 0), sample("load", 0, "settled", 30), sample(DIFFERENT, 0, "before", 30)]
    for number, (after, settled) in enumerate(held, 1):
        phase = DIFFERENT if number <= len(held) // 2 else REPEATED
        made += [sample(phase, number, "after", after), sample(phase, number, "settled", settled)]
    last = held[-1][1]
    made.append(sample("idle", len(held), "settled", last))
    return made


def of(*held: tuple[int, int]) -> Account:
    return account("m", "http://s", UNKNOWN, Sight(), samples(*held))


def test_m_is_the_sum_of_what_did_not_come_back() -> None:
    found = of((34, 31), (36, 33), (35, 33))
    assert [(call.allocated // MIB, call.released // MIB) for call in found.calls] == [(4, 3), (5, 3), (2, 2)]
    assert found.total == 3 * MIB
    assert json.loads(found.as_json())["M"] == 3 * MIB


def test_the_phases_say_what_came_back() -> None:
    ended = [sample("expiry", 60, "settled", 1), sample("unload", 60, "settled", 0)]
    found = account("m", "http://s", UNKNOWN, Sight(), [*samples(*[(31, 30)] * 60), *ended])
    shown = text.render(found)
    assert "keep_alive expired: 29.0 MiB came back; +1.0 MiB more than at the start is kept" in shown
    assert "unloaded: 30.0 MiB came back; +0 KiB more than at the start is kept" in shown
    assert "\nsteady: it does not grow with calls\n" in shown


def test_what_cannot_be_seen_is_said_and_what_is_known_of_the_version() -> None:
    unseen = Sight(unseen="s is another machine")
    found = account("m", "http://s", UNKNOWN, unseen, [sample("before", 0, "settled", None)])
    assert (found.kind, exit_code(found)) == (None, 2)
    shown = text.render(found)
    assert "the processes cannot be seen: s is another machine" in shown
    assert "8192" not in shown
    newer = account("m", "http://s", UNKNOWN._replace(version="0.34.3"), unseen, [])
    assert "up to LLAMA_ARG_CACHE_RAM MiB, 8192 by default" in text.render(newer)


def test_a_cache_that_grows_is_a_warning_and_fails_only_where_it_is_asked_to() -> None:
    found = probed(cached=3)
    assert (found.kind, exit_code(found), exit_code(found, fails_on="growth")) == (Kind.BOUNDED, 0, 1)
    [grown] = found.growth
    assert (grown.cause, grown.bound, grown.a_call) == (Cause.PROMPT_CACHE, 8192 * MIB, 3 * MIB)
    shown = text.render(found)
    assert "warning: bounded growth: the prompt cache grows up to 8 GiB" in shown
    assert "LLAMA_ARG_CACHE_RAM is not set" in shown


@pytest.mark.parametrize("cached", [0, 3])
@pytest.mark.parametrize("stays", [True, False])
def test_a_leak_is_one_beside_a_cache_too_and_is_told_where(cached: int, stays: bool) -> None:
    found = probed(growth=1, cached=cached, stays=stays)
    assert (found.kind, exit_code(found)) == (Kind.LEAK, 1)
    assert "if no other client called the model" in text.render(found)
    assert len(found.growth) == (1 if cached else 0)
    where = "in the runner +0 KiB, in the server itself +1.0 MiB"
    if not stays:
        where = "in the runner +1.0 MiB, in the server itself +0 KiB"
    assert where in text.render(found)


def test_a_runner_that_was_replaced_decides_nothing() -> None:
    made = list(probed(growth=1).samples)
    turned = [one._replace(pid=8) if one.call > 40 and one.pid else one for one in made]
    found = account("m", "http://s", UNKNOWN, Sight(), turned)
    assert (found.kind, exit_code(found)) == (Kind.UNDECIDED, 2)
    assert "undecided: the runner was replaced between calls" in text.render(found)


def test_no_more_is_said_to_be_in_a_cache_than_its_bound() -> None:
    found = probed(cached=3)
    [cache] = found.growth
    left = [one for one in found.samples if one.phase not in ("expiry", "reload", "unload")]
    beyond = replace(found, samples=tuple(left), growth=(cache._replace(bound=cache.grown - 1),))
    shown = text.render(beyond)
    assert f"  what these calls left, about {text.mib(cache.grown)}, most of it in the prompt cache, stays" in shown


def test_what_a_runner_that_is_gone_kept_is_not_told() -> None:
    made = [one for one in probed(cached=3).samples if one.phase not in ("expiry", "reload", "unload")]
    called = probed().called._replace(num_ctx=512)
    shown = text.render(account("m", "http://s", called, Sight(), made))
    assert "stays until an unload" in shown
    assert "num_ctx 512 was sent with each call" in shown
    assert "  what these calls left in the prompt cache, about" in shown
    turned = [one._replace(pid=8) if one.call > 40 and one.pid else one for one in made]
    assert "stays until an unload" not in text.render(account("m", "http://s", called, Sight(), turned))


def test_growth_that_nothing_explains_is_not_decided() -> None:
    runner = probed().called.runner
    assert runner is not None
    uncached = Called("0.34.3", runner._replace(environment={"LLAMA_ARG_CACHE_RAM": "0"}))
    found = account("m", "http://s", uncached, Sight(), probed(cached=3).samples)
    assert (found.kind, exit_code(found), exit_code(found, fails_on="growth")) == (Kind.UNDECIDED, 2, 1)
    assert "no cache of its runner explains it" in text.render(found)


def test_too_few_calls_decide_no_leak_and_still_name_the_cache() -> None:
    found = probed(24, cached=3)
    assert (found.kind, exit_code(found)) == (Kind.UNDECIDED, 2)
    shown = text.render(found)
    assert "the prompt cache grows up to 8 GiB" in shown
    assert "undecided: at least 20 rounds of calls with one prompt are needed to show a leak: --calls 40\n" in shown
    varied = [one._replace(phase=DIFFERENT) if one.is_call else one for one in found.samples]
    assert "are needed to show a leak, and --vary makes none\n" in text.render(
        account("m", "http://s", UNKNOWN, Sight(), varied)
    )


def test_a_bound_that_is_set_is_not_recommended() -> None:
    runner = probed().called.runner
    assert runner is not None
    capped = Called("0.34.3", runner._replace(environment={"LLAMA_ARG_CACHE_RAM": "4096"}))
    shown = text.render(account("m", "http://s", capped, Sight(), probed(cached=3).samples))
    assert "  another LLAMA_ARG_CACHE_RAM (MiB, of each runner) in the server's environment changes that; 0" in shown
    assert "bounds it" not in shown
    assert "LLAMA_ARG_CACHE_RAM=N (MiB, of each runner) in the server's" in text.render(probed(cached=3))


def test_nothing_that_is_allocated_is_less_than_nothing() -> None:
    found = of((29, 32), (30, 33), (36, 30))
    assert [(call.allocated // MIB, call.released // MIB) for call in found.calls] == [(2, 0), (1, 0), (3, 6)]
    assert found.total == 0


def test_runners_whose_server_is_gone_are_told() -> None:
    lost = Lost(4711, "/models/blobs/sha256-\x1b[2J", 64 * MIB)
    found = account("m", "http://s", UNKNOWN, Sight(lost=(lost,)), samples(*[(31, 30)] * 60))
    shown = text.render(found)
    assert "beside it, process 4711 holds 64.0 MiB: a runner whose server is gone" in shown
    assert "`ollama-policy reclaim` ends it" in shown
    assert "\x1b" not in shown
