"""What `reclaim` plans, from what a server said: who is an orphan, how it goes, and who is never touched."""

from datetime import UTC, datetime, timedelta

import pytest

from ollama_policy.commands.reclaim.report import planned
from ollama_policy.live.reclaimable import Facts, Intent, Plan, Way, Why, plan
from ollama_policy.live.runners.abandoned import Abandoned
from ollama_provider.ollama.answers import InstalledModel, Running, RunningModel
from ollama_provider.ollama.names import ModelName

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FOR_EVER = timedelta(days=290 * 365)
BLOB = {letter: f"sha256:{letter * 64}" for letter in "abc"}


def name(text: str) -> ModelName:
    return ModelName.parse(text)


def names(*texts: str) -> set[ModelName]:
    return set(map(name, texts))


def facts(
    disk: dict[str, str],
    memory: dict[str, str],
    blobs: dict[str, str] | None = None,
    processes: str | None = None,
    files: str = "",
    left: timedelta = FOR_EVER,
) -> Facts:
    """`disk` and `memory` map names to digests, `blobs` names to letters; `processes` and `files` are such letters."""
    installed = {name(one): InstalledModel(name(one), digest, 1, "llama", "8B", "F16") for one, digest in disk.items()}
    running = [
        RunningModel(name(one), digest, NOW + left, 2**20, 0, 2048, "llama", "8B", "F16")
        for one, digest in memory.items()
    ]
    return Facts(
        installed,
        Running(tuple(running), NOW),
        {name(one): BLOB[letter] for one, letter in (blobs or {}).items()},
        None if processes is None else frozenset(BLOB[letter] for letter in processes),
        frozenset(BLOB[letter] for letter in files),
    )


def whys(found: Plan) -> dict[str, Why]:
    return {str(entry.model.name): entry.why for entry in found.entries}


def test_without_declarations_only_orphans_are_freed() -> None:
    seen = facts({"here": "1", "moved": "3"}, {"here": "1", "gone": "2", "moved": "2x"}, {"here": "a", "moved": "b"})
    found = plan(seen, Intent())
    assert whys(found) == {"gone:latest": Why.DELETED, "moved:latest": Why.MOVED}
    assert [str(model.name) for model in found.others] == ["here:latest"]


def test_declarations_say_who_is_not_wanted_and_undeclared_is_asked_for() -> None:
    seen = facts({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "2", "c": "3"})
    assert whys(plan(seen, Intent(names("a"), names("b")))) == {"b:latest": Why.NOT_WANTED}
    found = plan(seen, Intent(names("a"), names("b"), names("A", "b:latest")))
    assert whys(found) == {"b:latest": Why.NOT_WANTED, "c:latest": Why.UNDECLARED}
    assert all(entry.ways == (Way(entry.model.name),) for entry in found.entries)


@pytest.mark.parametrize(
    ("seen", "ways"),
    [
        (facts({"twin": "1"}, {"gone": "1"}), [("twin:latest", False, True)]),
        (facts({"child": "2"}, {"gone": "1"}, {"child": "a"}, "a"), [("child:latest", False, True)]),
        (facts({"child": "2"}, {"gone": "1"}, {"child": "a"}), [("child:latest", False, False)]),
        (facts({"child": "2"}, {"gone": "1"}, {"child": "a"}, "b"), []),
        (facts({}, {"gone": "1"}, {}, "a", "a"), [("temporary", True, True)]),
        (
            facts({"child": "2"}, {"gone": "1", "old": "3"}, {"child": "a"}, "ab", "ab"),
            [("child:latest", False, False), ("temporary", True, False)],
        ),
        (facts({}, {"gone": "1"}, {}, "a"), []),
        (facts({}, {"gone": "1"}, {}, None, "a"), []),
        (facts({"busy": "2"}, {"gone": "1", "busy": "2"}, {"busy": "a"}), []),
        (facts({"x": "2", "y": "3"}, {"gone": "1"}, {"x": "a", "y": "a"}), [("x:latest", False, False)]),
        (facts({"same": "2"}, {"same": "1"}, {"same": "a"}, "a"), [("same:latest", False, True)]),
    ],
    ids=[
        "a name with the same content",
        "a name on the same weights, as the process shows",
        "a name that may be on the same weights",
        "a name on other weights than any process",
        "weights without a name",
        "two orphans, and which is whose is not known",
        "weights that are gone",
        "no process to be seen",
        "weights that another name's runner is on",
        "one name of two on the same weights",
        "its own name, created again on the same weights",
    ],
)
def test_ways(seen: Facts, ways: list[tuple[str, bool, bool]]) -> None:
    [entry, *_] = [entry for entry in plan(seen, Intent()).entries if entry.why.is_orphan]
    shown = [
        ("temporary" if way.is_temporary else str(way.name), way.is_temporary, way.is_certain) for way in entry.ways
    ]
    assert shown == ways
    assert entry.can_be_freed is bool(ways)


def test_a_runner_that_a_declaration_wants_is_never_touched() -> None:
    intent = Intent(names("chat"))
    for seen in (
        facts({"chat": "1"}, {"gone": "1"}, {"chat": "a"}),
        facts({"chat": "2"}, {"gone": "1"}, {"chat": "a"}, "a"),
        facts({"chat": "2", "twin": "1"}, {"gone": "1"}, {"chat": "a", "twin": "a"}, "a"),
        facts({"chat": "2"}, {"gone": "1"}, {"chat": "a"}),
    ):
        [entry] = plan(seen, intent).entries
        assert (entry.kept_for, entry.can_be_freed) == (name("chat"), False)
    unsure = plan(facts({"chat": "2", "other": "3"}, {"gone": "1"}, {"chat": "a", "other": "b"}), intent)
    assert [way.name for way in unsure.entries[0].ways] == [name("other")]


def test_a_temporary_name_of_a_killed_run_is_used_and_goes() -> None:
    left = str(name("gone").beside("ollama-policy-reclaim"))
    found = plan(facts({left: "2"}, {"gone": "1"}, {left: "a"}, "a"), Intent())
    assert [str(way.name) for way in found.entries[0].ways] == [left]
    assert found.leftovers == (name(left),)
    assert whys(plan(facts({left: "2"}, {left: "2"}), Intent())) == {left: Why.LEFTOVER}


def test_the_plan_as_text() -> None:
    seen = facts({"kept": "2"}, {"gone": "1", "kept": "2"}, {"kept": "a"}, "ab", left=timedelta(minutes=5))
    text = planned("http://here", plan(seen, Intent()), seen.running)
    assert text == (
        "http://here: 1 of 2 models in memory to free, 1 MiB\n\n"
        "  gone:latest  1  1 MiB  until 2026-01-01 12:05:00 UTC\n"
        "    orphan: its name is not on disk any more\n"
        "    its weights are under no name of the server: only a restart frees it; its timer ends it\n"
        "    or, where its registry still has them: OLLAMA_HOST=http://here ollama pull gone:latest "
        "&& OLLAMA_HOST=http://here ollama stop gone:latest\n"
        "\n"
        "  A restart of Ollama would end every runner: 1 model to load again, 1 MiB.\n"
        "\n"
    )


def test_no_way_leads_through_a_name_by_which_ollama_reaches_another_model_or_a_cloud_s() -> None:
    seen = facts({"chat:local": "1", "twin": "1"}, {"gone": "1"})
    [entry] = plan(seen, Intent()).entries
    assert [str(way.name) for way in entry.ways] == ["twin:latest"]
    far = InstalledModel(name("far"), "2", 1, "llama", "8B", "F16", remote_host="https://ollama.com:443")
    seen = facts({"child": "2"}, {"gone": "1"}, {"child": "a", "far": "b", "near:local": "b"})
    seen = seen._replace(installed={**seen.installed, far.name: far})
    [entry] = plan(seen, Intent()).entries
    assert [str(way.name) for way in entry.ways] == ["child:latest"]


def test_an_abandoned_runner_is_planned_beside_the_rest_and_another_user_s_is_left() -> None:
    own = Abandoned(331, 1.0, BLOB["a"], "/models/blobs/a", 20 * 2**20, "me", is_own=True)
    found = plan(facts({}, {})._replace(abandoned=(own, own._replace(pid=332, user="ollama", is_own=False))), Intent())
    text = planned("http://one", found, Running((), NOW))
    assert "http://one: no model of its own to free, 0 models in memory\n" in text
    assert "  process 331  sha256:aaaaaaaaaaaa  20 MiB resident\n" in text
    assert "    by ending the process\n" in text
    assert "    left: it is of ollama, who alone can end it\n" in text
