"""Lines that a real Ollama 0.17.4 wrote, at its usual level and with OLLAMA_DEBUG=1. tests/engines makes whole ones."""

from ollama_policy.commands.logs.event import Event, Kind
from tests.policies.logs.told import REAL, told

USUAL = (REAL / "usual.log").read_bytes()
DEBUG = (REAL / "debug.log").read_bytes()
ONE = "sha256:a86e018a6b80d859a297deee4fee2a67e78b74a754558634c57e4b0cc16bf337"
TWO = "sha256:001b7b5e0df07820bfec3c4af71f816f597c75d8fb3b0886f3714f80d64007c4"


def _in_short(events: list[Event]) -> list[tuple[str, str, str]]:
    return [(event.kind.value, event.model[:10], event.cause) for event in events]


def test_at_the_usual_level_what_left_is_told_from_the_count() -> None:
    result = told(USUAL, slow_seconds=3)
    one, two = ONE[:10], TWO[:10]
    assert _in_short(result.events) == [
        ("ignored", "", "OLLAMA_NUM_PARALLEL"),
        ("start", "", ""),
        ("start", "", "version"),
        ("ignored", "", "OLLAMA_KV_CACHE_TYPE"),
        ("limited", one, "model"),
        ("load", one, ""),
        ("limited", two, "model"),
        ("gone", one, "count"),
        ("load", two, ""),
        ("gone", two, "count"),
        ("load", one, ""),
        ("reload", one, "context"),
        ("load", one, ""),
        ("truncated", one, ""),
        ("call", "", "slow"),
        ("reload", one, "context"),
        ("load", one, ""),
        ("died", one, "killed"),
    ]
    assert not result.story.has_debug
    assert not result.story.models[ONE].names
    assert result.story.models[ONE].label == "tiny-1"
    assert result.ids() == ["OLL601", "OLL615", "OLL601", "OLL615", "OLL606", "OLL607", "OLL608", "OLL605"]


def test_with_debug_lines_every_cause_is_known() -> None:
    result = told(DEBUG)
    one, two = ONE[:10], TWO[:10]
    assert _in_short(result.events)[4:] == [
        ("limited", one, "model"),
        ("load", one, ""),
        ("evicted", one, "count"),
        ("unloaded", one, "count"),
        ("limited", two, "model"),
        ("load", two, ""),
        ("expired", two, ""),
        ("unloaded", two, "expired"),
        ("load", one, ""),
        ("reload", one, "options"),
        ("unloaded", one, "options"),
    ]
    assert result.story.has_debug
    assert list(result.story.models[TWO].names) == ["two:latest"]
    assert result.story.resident == []


def test_a_load_has_ollamas_own_figures() -> None:
    load = told(USUAL).of(Kind.LOAD)[0]
    assert load.facts["weights_kv_graph"] == {"weights": {"CPU": 181862}, "KV cache": {"CPU": 512 * 1024}}
    assert load.facts["llama_cpp"]["KV cache (CPU)"] == 512 * 1024
    assert load.facts["total_bytes"] == 706150
    assert (load.facts["context"], load.facts["parallel"], load.facts["runners"]) == (2048, 1, 1)
    assert load.facts["system_free_bytes"] == 23300197580
    assert load.facts["seconds"] == 0.28


def test_every_event_is_on_its_line() -> None:
    for content in (USUAL, DEBUG):
        lines = content.split(b"\n")
        for event in told(content).events:
            assert lines[event.place.number - 1].startswith(event.place.raw[:200])


def test_a_slow_call_says_how_much_of_it_was_a_load() -> None:
    (call,) = told(USUAL, slow_seconds=3).of(Kind.CALL)
    assert call.text.startswith(
        "a call of /api/generate took 4.58 s; meanwhile sha256:a86e018a6b80 was loaded, in 0.28 s "
    )
