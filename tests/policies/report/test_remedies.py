"""Remedies follow from what was found, and nothing else brings one."""

from dataclasses import replace
from datetime import timedelta

from ollama_policy.commands.remedies.catalogue import CATALOGUE
from ollama_policy.commands.remedies.facts import Declarations
from ollama_policy.commands.remedies.matrix import matrix
from ollama_policy.commands.remedies.remedy import Kind
from ollama_policy.commands.report import remedies
from ollama_policy.rules.registry import EVERY_RULE
from tests.policies.remedies.examples import held, server
from tests.policies.report.examples import probed, running, seen

CACHE = ["Cap the prompt cache", "Reload a runner that has grown"]


def titles(*ids: str, growth: int | None = None, cached: int = 0) -> list[str]:
    account = None if growth is None else probed(growth=growth, cached=cached)
    return [one.title for one in remedies.remedies(ids, seen(running("chat")), (), account)]


def test_nothing_found_calls_for_nothing() -> None:
    assert titles() == []
    assert titles(growth=0) == []


def test_findings_and_drift() -> None:
    assert titles("OLL001") == ["Bound keep_alive", 'Switch to memory_management = "manual"']
    assert titles("OLL507", "OLL202") == ["Free what no name reaches", "Cap the prompt cache"]
    assert titles("OLL201") == ["Lower context and parallelism"]


def test_what_is_done_already_is_not_called_for() -> None:
    assert titles("OLL503", "OLL504", "OLL505") == [], "drifts of what is manual"
    account = probed(growth=0, cached=3)
    growth = tuple(one._replace(bounded_by="LLAMA_ARG_CACHE_RAM=32") for one in account.growth)
    account = replace(account, growth=growth)
    assert [one.title for one in remedies.remedies((), None, (), account)] == CACHE[1:]


def test_what_is_recommended_here_is_told_and_nothing_else_of_what_a_server_holds() -> None:
    """One catalogue: what `remedies` says of a server is what the report says of it at the same moment."""
    found = matrix(server(held("chat", left=timedelta(minutes=5)), version="0.6.5"), Declarations())
    recommended = [one for one in found if one.is_recommended]
    assert {one.id for one in recommended} == {Kind.VERSION}
    [told] = remedies.remedies((), None, recommended, None)
    assert told.title == "Update Ollama"
    assert told.because == (f"{recommended[0].title}, of the server: {recommended[0].why}",)
    assert all(any(one.id in entry.kinds for entry in CATALOGUE) for one in found)


def test_measurements() -> None:
    assert titles(growth=1) == ["Update Ollama", "Bound keep_alive"]
    assert titles(growth=1, cached=3) == ["Update Ollama", "Bound keep_alive", *CACHE]
    assert titles(growth=0, cached=3) == CACHE


def test_what_grows_in_the_server_itself_is_not_given_back_by_a_timer() -> None:
    found = remedies.remedies((), None, (), probed(60, growth=1, stays=True))
    assert [one.title for one in found] == [
        "Update Ollama",
        "Restart the server from time to time",
    ]


def test_the_catalogue_is_that_of_the_command() -> None:
    told = [kind for entry in CATALOGUE for kind in entry.kinds]
    assert sorted(told) == sorted(Kind)


def test_each_rule_that_is_named_exists() -> None:
    assert {id for entry in CATALOGUE for id in entry.rules} <= {rule.id for rule in EVERY_RULE}
