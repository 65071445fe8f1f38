"""M is what is really held after the last call, and each phase says what came back."""

import json

from ollama_policy.probe import text
from ollama_policy.probe.account import account
from ollama_policy.probe.leak import MIB
from ollama_policy.probe.probing import Sample


def sample(phase: str, call: int, moment: str, runners: int | None) -> Sample:
    server = None if runners is None else 40 * MIB
    return Sample(0.0, phase, call, moment, server, None if runners is None else runners * MIB, 50 * MIB, 0)


def samples(*held: tuple[int, int]) -> list[Sample]:
    made = [sample("before", 0, "settled", 0), sample("load", 0, "settled", 30), sample("calls", 0, "before", 30)]
    for number, (after, settled) in enumerate(held, 1):
        made += [sample("calls", number, "after", after), sample("calls", number, "settled", settled)]
    last = held[-1][1]
    made.append(sample("idle", len(held), "settled", last))
    return made


def test_m_is_the_sum_of_what_did_not_come_back() -> None:
    found = account("m", "http://s", samples((34, 31), (36, 33), (35, 33)))
    assert [(call.allocated // MIB, call.released // MIB) for call in found.calls] == [(4, 3), (5, 3), (2, 2)]
    assert found.total == 3 * MIB
    assert json.loads(found.as_json())["M"] == 3 * MIB


def test_the_phases_say_what_came_back() -> None:
    ended = [sample("expiry", 60, "settled", 1), sample("unload", 60, "settled", 0)]
    found = account("m", "http://s", [*samples(*[(31, 30)] * 60), *ended])
    shown = text.render(found)
    assert "keep_alive expired: 29.0 MiB came back; +1.0 MiB over the start is kept" in shown
    assert "unloaded: 30.0 MiB came back; +0 KiB over the start is kept" in shown
    assert "steady: it does not grow with calls" in shown


def test_what_cannot_be_seen_is_said() -> None:
    found = account("m", "http://s", [sample("before", 0, "settled", None)], "s is another machine")
    assert found.verdict is None
    assert "the processes cannot be seen: s is another machine" in text.render(found)
