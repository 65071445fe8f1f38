"""The parts with a server's figures, and the place where memory is held."""

from xml.etree import ElementTree

from ollama_policy.commands.report.pictures import architecture
from ollama_policy.live.snapshot import NoAnswer
from ollama_provider.ollama.sizes import MIB
from tests.policies.report.examples import HOSTILE, running, seen


def test_pinned_models_and_orphans_are_where_memory_is_held() -> None:
    server = seen(
        running("chat"), running("other", "cc" * 32, size=7 * MIB), running("chat", "bb" * 32, is_pinned=True)
    )
    found = architecture.architecture(server)
    assert [(one.name, one.why_held) for one in found.runners] == [
        ("chat:latest", "pinned, orphan: no name reaches it"),
        ("other:latest", "orphan: no name reaches it"),
        ("chat:latest", ""),
    ]
    assert "HELD HERE: 57 MiB in 2 of 3" in found.boxes[-1].lines
    assert "2 running, 1 pinned: those never run down" in found.boxes[3].lines
    assert found.runners[-1].released == "in 5m without a call"
    assert architecture.picture(found).count('class="held"') == 2
    mermaid = architecture.as_mermaid(found)
    assert "class runner0 held" in mermaid
    assert "class runner2 held" not in mermaid


def test_nothing_held_is_said() -> None:
    found = architecture.architecture(seen(running("chat")))
    assert "nothing is held beyond a timer" in found.boxes[-1].lines
    assert 'class="held"' not in architecture.picture(found)


def test_without_figures_the_parts_are_there() -> None:
    assert "no server was looked at" in architecture.picture(architecture.architecture(None))
    unseen = architecture.architecture(NoAnswer("http://box:11434", True, "no connection"))
    assert unseen.boxes[1].lines == ("http://box:11434", "could not be looked at: no connection")


def test_many_runners_are_counted_in_the_picture_and_named_in_the_table() -> None:
    found = architecture.architecture(seen(*(running(f"m{number}") for number in range(40))))
    assert "and 28 more: the table has all" in architecture.picture(found)
    *_, models = architecture.tables(found)
    assert len(models.rows) == 40


def test_a_hostile_version_is_a_version() -> None:
    found = architecture.architecture(seen(running("chat"), version=HOSTILE))
    root = ElementTree.fromstring(architecture.picture(found))  # noqa: S314 - our own
    assert "script" not in {one.tag.rpartition("}")[2] for one in root.iter()}
    plain = architecture.architecture(seen(running("chat")))
    for mark in ("\n", '"'):
        assert architecture.as_mermaid(found).count(mark) == architecture.as_mermaid(plain).count(mark)
